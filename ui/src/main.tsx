import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { makeApp } from './app'
import { takeSetupCode } from './lib/setupCode'
import './styles.css'
import { applyTheme, readTheme } from './theme'

applyTheme(readTheme())
// Before the router reads the address.
takeSetupCode()

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')
createRoot(root).render(<StrictMode>{makeApp().element}</StrictMode>)

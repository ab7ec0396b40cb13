import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'
import { mockHub } from './mock/plugin.ts'

// Where a developer's own hub listens; `--mode mock` needs none.
const HUB_URL = process.env.REEF_URL ?? 'http://127.0.0.1:7700'

export default defineConfig(({ mode }) => ({
  plugins: [react(), tailwindcss(), mode === 'mock' && mockHub()],
  server: { proxy: mode === 'mock' ? undefined : { '/api': { target: HUB_URL } } },
  build: {
    target: ['chrome125', 'firefox128', 'safari18'],
    // The page is served under a policy without data: scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: {
    environment: 'jsdom',
    setupFiles: ['./src/test/setup.ts'],
    restoreMocks: true,
  },
}))

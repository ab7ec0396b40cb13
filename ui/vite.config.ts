import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'
import { mockHub } from './mock/plugin.ts'

// Where a developer's own hub listens; `--mode mock` needs none.
const HUB_URL = process.env.REEF_URL ?? 'http://127.0.0.1:7700'

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "frame-ancestors 'none'",
].join('; ')

export default defineConfig(({ mode }) => ({
  plugins: [react(), tailwindcss(), mode === 'mock' && mockHub()],
  server: { proxy: mode === 'mock' ? undefined : { '/api': { target: HUB_URL } } },
  // As the hub serves it, so that a preview breaks where the real page would.
  preview: { headers: { 'Content-Security-Policy': CONTENT_SECURITY_POLICY } },
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
    testTimeout: 30_000,
  },
}))

// Fails the build when what a first visit must load outgrows its budget.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const FIRST_LOAD_GZIP_BYTES_MAX = 200_000

const page = readFileSync('dist/index.html', 'utf8')
const files = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1])
const total = files.reduce((sum, file) => sum + gzipSync(readFileSync(`dist/${file}`)).length, 0)
process.stdout.write(
  `first load ${(total / 1000).toFixed(1)} kB gzip of ${FIRST_LOAD_GZIP_BYTES_MAX / 1000} kB\n`,
)
if (files.length === 0 || total > FIRST_LOAD_GZIP_BYTES_MAX) process.exit(1)

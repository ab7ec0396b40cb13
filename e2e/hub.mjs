// The program under test: a data directory of its own, and processes that a chapter may kill.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** Nothing may be waited for any longer; an agent that starts on a busy machine takes a minute. */
export const PATIENCE_MS = 240_000
const LOOK_EVERY_MS = 100
/** Folders of a data directory that nobody but its user may look into. */
const PRIVATE = 0o700

/** What the caller has to say; without it nothing is tested, which must not look like success. */
export function setting(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: run these specs with \`cargo xtask test browser\``)
  return value
}

export class Hub {
  home = mkdtempSync(join(tmpdir(), 'reef-e2e-'))
  printed = ''

  async start() {
    mkdirSync(join(this.home, 'node'), { mode: PRIVATE })
    seed(join(this.home, 'node', 'versions'))
    // Kept when the hub is started again, so it cannot be left to the system.
    this.url = `http://127.0.0.1:${await freePort()}`
    const log = openSync(join(this.home, 'servers.log'), 'a', PRIVATE)
    this.up = spawn(
      setting('REEF_BIN'),
      ['up', '--stop-instances-on-exit', '--listen', new URL(this.url).host],
      {
        env: this.environment(),
        stdio: ['ignore', 'pipe', log],
      },
    )
    this.up.stdout.setEncoding('utf8').on('data', (text) => (this.printed += text))
    const link = () => this.printed.match(/http:\S+#code=\S+/)?.[0]
    this.setupLink = await until('the setup link', link, () => this.log())
  }

  log() {
    return `${this.printed}\n${readFileSync(join(this.home, 'servers.log'), 'utf8')}`
  }

  environment() {
    return { PATH: process.env.PATH, HOME: '/nonexistent', REEF_DATA_DIR: this.home }
  }

  /** Runs a command of the client to its end. */
  run(...args) {
    const ended = spawnSync(setting('REEF_BIN'), args, {
      env: this.environment(),
      encoding: 'utf8',
      timeout: PATIENCE_MS,
    })
    if (ended.status !== 0) throw new Error(`reef ${args.join(' ')}: ${ended.stderr}`)
    return ended.stdout
  }

  /** Kills the hub's own process; its supervisor starts another one. */
  async kill() {
    const pid = this.pidOf('__hub')
    process.kill(pid, 'SIGKILL')
    await until('another hub', () => ![undefined, pid].includes(this.pidOf('__hub')))
  }

  pidOf(server) {
    return commandLines().find(({ argv }) => argv[1] === server && argv.includes(this.home))?.pid
  }

  /** Ends everything, the instances too, however far a chapter came. */
  async stop() {
    const shims = instanceRecords(this.home).map((record) => record.shim.pid)
    if (this.up?.exitCode === null) {
      const ended = new Promise((resolve) => this.up.once('exit', resolve))
      this.up.kill('SIGTERM')
      await ended
    }
    for (const pid of shims) killIfThere(pid)
    spawnSync('chmod', ['-R', 'u+rwX', this.home])
    rmSync(this.home, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Looks until there is something. */
export async function until(what, look, log = () => '') {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}: ${log()}`)
    await pause(LOOK_EVERY_MS)
  }
}

/** Gives the node a version store, so that the agent need not be installed once more. */
function seed(target) {
  const source = setting('REEF_TEST_VERSIONS')
  // Links where both are on one file system: what is in the store never changes.
  if (spawnSync('cp', ['-al', source, target]).status === 0) return
  rmSync(target, { recursive: true, force: true })
  cpSync(source, target, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

function commandLines() {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => {
    try {
      return [{ pid: Number(pid), argv: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0') }]
    } catch {
      return [] // It has ended meanwhile.
    }
  })
}

function instanceRecords(home) {
  try {
    const instances = join(home, 'node', 'instances')
    return readdirSync(instances).flatMap((id) => {
      try {
        return [JSON.parse(readFileSync(join(instances, id, 'run', 'shim.json'), 'utf8'))]
      } catch {
        return [] // It is stopped.
      }
    })
  } catch {
    return [] // There never was one.
  }
}

function killIfThere(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

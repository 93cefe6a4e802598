// The program under test: the release binary, started on a free port with a home of its own.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { checkout, run, scratch, within } from './tools.mjs'

const START_MS = 20_000
// The server drains for at most 10 s.
const STOP_MS = 15_000
const SAY_MS = 15_000

/** The binary, built by `cargo build --release` unless FORERUN_BIN names another. */
export const binary = path.resolve(process.env.FORERUN_BIN || path.join(checkout, 'target/release/forerun'))

/** The environment of a user who has nothing yet: what is minted lands in `home`. */
export function environment(home) {
  return {
    PATH: process.env.PATH,
    HOME: home,
    XDG_DATA_HOME: path.join(home, 'data'),
    LANG: 'C.UTF-8',
    TZ: 'UTC',
  }
}

/** Runs the binary to its end with a home of its own. */
export function forerun(args, { home = scratch('home'), ...options } = {}) {
  return run(binary, args, { cwd: home, env: environment(home), ...options })
}

/** Serves a site while `use` runs, and ends the server by its handle, which must exit with 0. */
export async function withServer(root, args, use) {
  return during(await Server.start(root, args), use)
}

/** The same with live reload, by `forerun dev`. */
export async function withDev(root, args, use) {
  return during(await Server.start(root, args, scratch('home'), 'dev'), use)
}

async function during(server, use) {
  let result
  try {
    result = await use(server)
  } catch (error) {
    await server.stop()
    error.message += `\n--- the server's last lines ---\n${server.output.split('\n').slice(-25).join('\n')}`
    throw error
  }
  const ended = await server.stop()
  assert.deepEqual(ended, { code: 0, signal: null }, `the server must exit with 0: ${server.output}`)
  return result
}

/** A running server. */
export class Server {
  /** Starts the server, by a command line after `through` (`nsenter ...`), and waits for the line that names its URL. */
  static async start(root, args = [], home = scratch('home'), command = 'serve', through = []) {
    mkdirSync(home, { recursive: true })
    const server = new Server()
    server.root = root
    server.home = home
    server.command = command
    server.args = args
    server.through = through
    server.printed = new EventEmitter().setMaxListeners(0)
    await server.#run(args)
    return server
  }

  /** Ends the server, and starts it again on the same port with the same authority. */
  async restart(meanwhile = () => {}) {
    await this.stop()
    await meanwhile()
    await this.#run([...this.args, '--port', String(this.port)])
  }

  async #run(args) {
    this.output = ''
    const port = args.includes('--port') ? [] : ['--port', '0']
    const log = args.includes('--log') ? [] : ['--log']
    const [program, ...words] = [...this.through, binary, this.command, this.root, ...log, ...port, ...args]
    this.child = spawn(program, words, {
      cwd: this.home,
      env: environment(this.home),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.ended = new Promise((resolve) => this.child.on('close', (code, signal) => resolve({ code, signal })))
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (bytes) => {
        this.output += bytes
        this.printed.emit('more')
      })
    }
    const failed = new Promise((_, reject) => {
      this.child.on('error', reject)
      this.ended.then((end) => reject(new Error(`the server ended at start (${JSON.stringify(end)}):\n${this.output}`)))
    })
    failed.catch(() => {})
    try {
      const named = Promise.race([this.#prints(/https:\/\/[\w.]+:(\d+)\b/), failed])
      const [origin, port] = await within(START_MS, 'the start-up line with the URL', named)
      this.origin = origin
      this.port = Number(port)
    } catch (error) {
      this.child.kill('SIGKILL')
      error.message += `\n${this.output}`
      throw error
    }
    this.authority = path.join(this.home, 'data/forerun/authority.pem')
  }

  /** Waits until the server has printed what the pattern asks for, since it was started. */
  async said(pattern) {
    try {
      return await within(SAY_MS, `${pattern} in the output`, this.#prints(pattern))
    } catch (error) {
      error.message += `\n${this.output}`
      throw error
    }
  }

  #prints(pattern) {
    return new Promise((resolve) => {
      const look = () => {
        const match = this.output.match(pattern)
        if (!match) return
        this.printed.off('more', look)
        resolve(match)
      }
      this.printed.on('more', look)
      look()
    })
  }

  /** Asks the server to end and waits for it. */
  async stop(signal = 'SIGTERM') {
    this.child.kill(signal)
    try {
      return await within(STOP_MS, 'the end of the server', this.ended)
    } catch (error) {
      this.child.kill('SIGKILL')
      await this.ended
      throw error
    }
  }

  /** The requests logged so far. All of them are there once the server has ended. */
  requests() {
    const line = /"([A-Z]+) (\S+) HTTP\/([\d.]+)" (\d{3}) (\d+|-)(.*)/
    return this.output
      .split('\n')
      .map((text) => text.match(line))
      .filter(Boolean)
      .map(([, method, target, version, status, , rest]) => ({ method, target, version, status: Number(status), rest }))
  }

  /** How often each target was asked for with GET; pushed answers do not count. */
  gets() {
    const counts = new Map()
    for (const { method, target } of this.requests()) {
      if (method === 'GET') counts.set(target, (counts.get(target) || 0) + 1)
    }
    return counts
  }
}

/** What `forerun plan` says of a page: targets sent ahead, all targets of the site, and others' URLs. */
export async function planOf(root, page, args = []) {
  const { code, stdout, stderr } = await forerun(['plan', page, '--site', root, '--json', ...args])
  assert.equal(code, 0, stderr)
  const { sent, skipped } = JSON.parse(stdout).pages[0]
  const all = [...sent, ...skipped]
  return {
    sent: sent.map((item) => item.url),
    known: all.filter((item) => item.same_origin).map((item) => item.url),
    elsewhere: all.filter((item) => !item.same_origin).map((item) => item.url),
  }
}

// What channels cost: memory of those who listen, and how many events a second are kept on disk before they are answered
// for.
//
//   node tests/bench/channels.mjs [BINARY] [PART ...]
//
// Parts: `memory` (idle event streams and WebSockets, 50 on a connection), `durable` (publishers at once). Delays, storms
// and fan-out take a quicker client: cargo bench --bench fanout. Fan-out without any socket:
// cargo test --release --lib hub::tests::measured -- --ignored --nocapture

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import os from 'node:os'
import path from 'node:path'
import { started } from './started.mjs'

const binary = path.resolve(process.argv[2] ?? 'target/release/forerun')
const parts = process.argv.length > 3 ? process.argv.slice(3) : ['memory', 'durable']
const ON_A_CONNECTION = 50
const IDLE = 2_000
const DURABLE_MS = 4_000

const home = mkdtempSync(path.join(os.tmpdir(), 'forerun-channels-'))
mkdirSync(path.join(home, 'site'))
writeFileSync(path.join(home, 'site/index.html'), '<!doctype html><title>t</title>')

const pause = (ms) => new Promise((done) => setTimeout(done, ms))
const kilobytes = (count) => `${count.toFixed(1)} kB`

/** Serves while `use` runs. */
async function withServer(flags, use) {
  const bounds = ['--max-publishes', '1000000', '--max-published', '4G', '--max-connections-per-address', '20000']
  const words = ['site', '--demo', ...bounds, ...flags]
  const { child, port, ca, read } = await started(binary, home, words)
  const sessions = []
  const server = {
    connect: async () => {
      const session = http2.connect(`https://localhost:${port}`, { ca, settings: { enablePush: false } })
      sessions.push(session)
      await new Promise((done, failed) => session.once('remoteSettings', done).once('error', failed))
      return session
    },
    /** Proportional set size, in kB. */
    pss: () => read('smaps_rollup', 'Pss'),
  }
  try {
    return await use(server)
  } finally {
    for (const session of sessions) session.on('error', () => {}).destroy()
    child.removeAllListeners('close').kill('SIGTERM')
    await new Promise((done) => child.once('close', done))
  }
}

const stream = { ':path': '/channels/demo/bench/sse' }
const socket = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/channels/demo/bench/ws', 'sec-websocket-version': '13' }

/** Opens a stream, and returns it once it is answered. */
async function open(session, headers) {
  const opened = session.request(headers, { endStream: headers[':method'] !== 'CONNECT' })
  const answer = await new Promise((done, failed) => opened.once('response', done).once('error', failed))
  if (answer[':status'] !== 200) throw new Error(`status ${answer[':status']}`)
  return opened
}

async function connections(server, count) {
  const all = []
  while (all.length < count) all.push(...(await Promise.all(Array.from({ length: Math.min(20, count - all.length) }, server.connect))))
  return all
}

async function publish(session, data, headers = {}) {
  const request = session.request({ ':method': 'POST', ':path': '/channels/demo/bench', 'content-type': 'text/plain', ...headers })
  request.end(data)
  const answer = await new Promise((done, failed) => request.once('response', done).once('error', failed))
  request.resume()
  if (answer[':status'] !== 200) throw new Error(`status ${answer[':status']}`)
}

async function memory(name, headers) {
  await withServer([], async (server) => {
    const sessions = await connections(server, IDLE / ON_A_CONNECTION)
    // Each has asked for something before it listens.
    await Promise.all(sessions.map((session) => publish(session, 'x')))
    await pause(3_000)
    const before = server.pss()
    for (const session of sessions) {
      const opened = await Promise.all(Array.from({ length: ON_A_CONNECTION }, () => open(session, headers)))
      for (const one of opened) one.resume()
    }
    await pause(3_000)
    console.log(`${name}: ${kilobytes((server.pss() - before) / IDLE)} each beyond its connection (${IDLE} over ${sessions.length})`)
  })
}

async function durable(publishers) {
  await withServer([`--channels=${path.join(home, `kept-${publishers}`)}`], async (server) => {
    const sessions = await connections(server, Math.ceil(publishers / 64))
    let published = 0
    const end = performance.now() + DURABLE_MS
    const one = async (_, at) => {
      while (performance.now() < end) {
        await publish(sessions[at % sessions.length], 'x'.repeat(200))
        published += 1
      }
    }
    await Promise.all(Array.from({ length: publishers }, one))
    console.log(`${publishers} publishers at once: ${Math.round((published / DURABLE_MS) * 1000)} events a second on disk before they are answered for`)
  })
}

const run = {
  memory: async () => {
    await memory('an idle event stream', stream)
    await memory('an idle WebSocket', socket)
  },
  durable: async () => {
    for (const publishers of [1, 16, 256]) await durable(publishers)
  },
}
try {
  for (const part of parts) await run[part]()
} finally {
  rmSync(home, { recursive: true, force: true })
}

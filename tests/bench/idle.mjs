// What an idle connection costs: opens many, asks each for one small page, and divides the server's memory.
//
//   node tests/bench/idle.mjs [CONNECTIONS] [BINARY]
//
// While they stay, the page is asked for over one more, and its latency is printed.

import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import http2 from 'node:http2'
import os from 'node:os'
import path from 'node:path'
import tls from 'node:tls'

const count = Number(process.argv[2] ?? 10_000)
const binary = path.resolve(process.argv[3] ?? 'target/release/forerun')
const together = 50
const asked = 200

const home = mkdtempSync(path.join(os.tmpdir(), 'forerun-idle-'))
const root = path.join(home, 'site')
mkdirSync(root)
writeFileSync(path.join(root, 'index.html'), '<!doctype html><title>t</title><p>hello')

const limits = ['--max-connections', String(count + 100), '--max-connections-per-address', String(count + 100)]
const child = spawn(binary, ['serve', root, '--port', '0', ...limits], {
  cwd: home,
  env: { PATH: process.env.PATH, HOME: home, XDG_DATA_HOME: home },
  stdio: ['ignore', 'pipe', 'inherit'],
})
const port = await new Promise((resolve, reject) => {
  let said = ''
  child.stdout.on('data', (bytes) => {
    said += bytes
    const found = said.match(/localhost:(\d+)/)
    if (found) resolve(Number(found[1]))
  })
  child.on('close', () => reject(new Error('the server has ended')))
})
const ca = readFileSync(path.join(home, 'forerun/authority.pem'))

/** Proportional set size, in kB. */
const memory = () => Number(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+)/m)[1])

const frame = (kind, flags, stream, payload = '') => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = kind
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, Buffer.from(payload, 'latin1')])
}
const hello = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
  frame(4, 0, 0),
  frame(4, 1, 0),
  frame(1, 5, 1, '\x82\x84\x87\x01\x09localhost'),
])

function connect() {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca, ALPNProtocols: ['h2'] })
    let bytes = Buffer.alloc(0)
    socket.once('secureConnect', () => socket.write(hello))
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more])
      if (bytes.includes('hello')) {
        socket.removeAllListeners('data')
        socket.resume()
        bytes = undefined
        resolve(socket)
      }
    })
    socket.on('error', reject)
  })
}

async function latency() {
  const client = http2.connect(`https://localhost:${port}`, { ca })
  const times = []
  for (let index = 0; index < asked; index += 1) {
    const started = performance.now()
    await new Promise((resolve, reject) => {
      const request = client.request({ ':path': '/' })
      request.on('close', resolve).on('error', reject).resume().end()
    })
    times.push(performance.now() - started)
  }
  client.close()
  times.sort((a, b) => a - b)
  return `p50 ${times[asked / 2].toFixed(2)} ms, p99 ${times[Math.floor(asked * 0.99)].toFixed(2)} ms`
}

try {
  await (await connect()).destroy()
  console.log(`alone: ${memory()} kB; ${await latency()}`)
  const before = memory()
  const open = []
  while (open.length < count) {
    open.push(...(await Promise.all(Array.from({ length: Math.min(together, count - open.length) }, connect))))
  }
  await new Promise((done) => setTimeout(done, 2_000))
  const each = (memory() - before) / open.length
  console.log(`${open.length} idle: ${memory()} kB, ${each.toFixed(1)} kB each; beside them ${await latency()}`)
  for (const socket of open) socket.destroy()
  await new Promise((done) => setTimeout(done, 2_000))
  console.log(`after them: ${memory()} kB`)
} finally {
  child.kill('SIGTERM')
  rmSync(home, { recursive: true, force: true })
}

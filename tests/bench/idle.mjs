// What idle connections cost: opens many, asks over each for something, waits, and divides what the server's memory
// has grown by. And what they cost others: the latency of a request beside ten thousand of them.
//
//   node tests/bench/idle.mjs [BINARY] [PART ...]
//
// Parts: `small` (after one small answer), `page` (after a page of 17 files, 600 kB), `others` (after one small answer,
// when as many others had fetched 17 x 100 kB each and left), `many` (ten thousand). Each has a server of its own.

import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import http2 from 'node:http2'
import os from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { started } from './started.mjs'

const binary = path.resolve(process.argv[2] ?? 'target/release/forerun')
const parts = process.argv.length > 3 ? process.argv.slice(3) : ['small', 'page', 'others', 'many']
const idle = 2_000
const many = 10_000
const together = 50
const asked = 500
const settled = 3_000

const home = mkdtempSync(path.join(os.tmpdir(), 'forerun-idle-'))
const root = path.join(home, 'site')
mkdirSync(root)

/** Writes a file that no encoding makes smaller, and returns its path. */
function file(name, length) {
  writeFileSync(path.join(root, name), randomBytes(length / 2).toString('hex'))
  return `/${name}`
}
const small = [file('small.html', 128)]
const page = [file('page.html', 10_000), ...Array.from({ length: 16 }, (_, at) => file(`page-${at}.js`, 37_000))]
const large = Array.from({ length: 17 }, (_, at) => file(`large-${at}.js`, 100_000))

/** Starts a server, and returns its port, the authority that it minted, its memory, and its end. */
async function serve() {
  const limits = ['--max-connections', String(2 * many), '--max-connections-per-address', String(2 * many)]
  const { child, port, ca, read } = await started(binary, home, [root, ...limits])
  return {
    port,
    ca,
    /** Proportional set size, in kB. */
    pss: () => read('smaps_rollup', 'Pss'),
    /** Resident set size, in kB. */
    rss: () => read('status', 'VmRSS'),
    end: () => child.kill('SIGTERM'),
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms))

const frame = (kind, flags, stream, payload = '') => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = kind
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, Buffer.from(payload, 'latin1')])
}
const text = (value) => String.fromCharCode(value.length) + value

/** What a browser says with every request; all but the path goes to the table of fields (RFC 7541 section 6.2.1). */
const said = [
  ['\x41', 'localhost'],
  ['\x7a', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
  ['\x53', 'text/html,application/xhtml+xml,*/*;q=0.8'],
  ['\x51', 'en-GB,en;q=0.5'],
  [`\x40${text('sec-fetch-site')}`, 'same-origin'],
  [`\x40${text('sec-fetch-dest')}`, 'empty'],
]
const first = said.map(([name, value]) => name + text(value)).join('')
const again = said.map((_, at) => String.fromCharCode(0x80 + 62 + said.length - 1 - at)).join('')

const get = (stream, target) => frame(1, 5, stream, `\x82\x87\x04${text(target)}${stream === 1 ? first : again}`)
const hello = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
  // No pushes, and windows as wide as a browser's.
  frame(4, 0, 0, '\x00\x02\x00\x00\x00\x00\x00\x04\x00\x60\x00\x00'),
  frame(8, 0, 0, '\x00\xf0\x00\x00'),
])

/** Opens a connection, asks for the first target, then for the others, and leaves it open once all have come. */
function open({ port, ca }, targets) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca, ALPNProtocols: ['h2'] })
    const head = Buffer.alloc(9)
    let [have, left, ended] = [0, 0, 0]
    const done = () => {
      socket.removeAllListeners('data').resume()
      resolve(socket)
    }
    const frameEnds = () => {
      if (head[3] === 4 && !(head[4] & 1)) socket.write(frame(4, 1, 0))
      if (head[3] > 1 || !(head[4] & 1)) return
      ended += 1
      if (ended === 1) socket.write(Buffer.concat(targets.slice(1).map((target, at) => get(3 + 2 * at, target))))
      if (ended === targets.length) done()
    }
    socket.once('secureConnect', () => socket.write(Buffer.concat([hello, get(1, targets[0])])))
    socket.on('error', reject).on('close', () => reject(new Error('the server has closed')))
    socket.on('data', (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        if (have < 9) {
          const take = bytes.copy(head, have, at)
          ;[have, at] = [have + take, at + take]
          if (have < 9) return
          left = head.readUIntBE(0, 3)
        }
        const take = Math.min(left, bytes.length - at)
        ;[left, at] = [left - take, at + take]
        if (left === 0) {
          have = 0
          frameEnds()
        }
      }
    })
  })
}

async function openMany(server, number, targets) {
  const all = []
  while (all.length < number) {
    all.push(...(await Promise.all(Array.from({ length: Math.min(together, number - all.length) }, () => open(server, targets)))))
  }
  return all
}

function leave(sockets) {
  for (const socket of sockets) socket.removeAllListeners('close').destroy()
}

async function latency({ port, ca }) {
  const client = http2.connect(`https://localhost:${port}`, { ca })
  const times = []
  for (let index = 0; index < asked; index += 1) {
    const started = performance.now()
    await new Promise((resolve, reject) => {
      const request = client.request({ ':path': small[0] })
      request.on('close', resolve).on('error', reject).resume().end()
    })
    times.push(performance.now() - started)
  }
  client.close()
  times.sort((a, b) => a - b)
  return `p50 ${times[asked / 2].toFixed(2)} ms, p99 ${times[Math.floor(asked * 0.99)].toFixed(2)} ms`
}

/** Starts a server that has answered once, measures, and prints what an idle connection adds. */
async function each(name, targets, before = () => undefined) {
  const server = await serve()
  try {
    leave(await openMany(server, 4, [...page, ...large]))
    await pause(settled)
    const alone = server.pss()
    await before(server)
    const sockets = await openMany(server, idle, targets)
    await pause(settled)
    console.log(`${((server.pss() - alone) / idle).toFixed(1)} kB each: ${idle} idle connections ${name}`)
    leave(sockets)
    await pause(settled)
    console.log(`  ${server.pss()} kB after they left, ${alone} kB before they came`)
  } finally {
    server.end()
  }
}

const measures = {
  small: () => each('after one small answer', small),
  page: () => each('after a page of 17 files', page),
  others: () =>
    each('after one small answer, when others had fetched 17 x 100 kB each', small, async (server) => {
      leave(await openMany(server, idle, large))
      await pause(settled)
    }),
  async many() {
    const server = await serve()
    try {
      console.log(`alone: ${server.rss()} kB resident; ${await latency(server)}`)
      const sockets = await openMany(server, many, small)
      await pause(settled)
      console.log(`beside ${many} idle connections: ${server.rss()} kB resident; ${await latency(server)}`)
      leave(sockets)
    } finally {
      server.end()
    }
  },
}

try {
  for (const part of parts) await measures[part]()
} finally {
  rmSync(home, { recursive: true, force: true })
}

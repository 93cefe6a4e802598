// Peers that mean harm, against the real server over real sockets: its memory stays bounded, and a
// well-behaved client beside them keeps being served. Each prints what the memory grew by.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { Server } from './lib/forerun.mjs'
import { connect, flood, frame, get, getPath, number, open, post, setting } from './lib/raw.mjs'
import { writeSite } from './lib/tools.mjs'

const GROWTH_KB_MAX = 64_000
const FLOOD_MS = 3_000
const BESIDE_MS_MAX = 2_000

let server
before(async () => {
  const site = writeSite({
    'index.html': '<!doctype html><title>t</title><p>hello',
    'large.bin': Buffer.alloc(8 << 20, 1),
  })
  server = await Server.start(site, ['--memory-file', '64K', '--max-connections-per-address', '500'])
})
after(async () => {
  const ended = await server.stop()
  assert.deepEqual(ended, { code: 0, signal: null }, server.output)
})

function residentKb() {
  return Number(readFileSync(`/proc/${server.child.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1])
}

/** Asks for the page over and over while `harm` goes on. Returns the slowest in 100, in ms, and the most memory seen. */
async function beside(harm) {
  const ca = readFileSync(server.authority)
  const client = http2.connect(server.origin, { ca })
  client.on('error', () => {})
  const ask = () =>
    new Promise((resolve, reject) => {
      const started = performance.now()
      const request = client.request({ ':path': '/' })
      request.on('response', (headers) => assert.equal(headers[':status'], 200))
      request.on('error', reject)
      request.on('close', () => resolve(performance.now() - started))
      request.resume()
      request.end()
    })
  await ask()
  let going = true
  const done = harm().finally(() => (going = false))
  done.catch(() => {})
  const times = []
  let peak = residentKb()
  while (going) {
    times.push(await ask())
    peak = Math.max(peak, residentKb())
  }
  const said = (await done) ?? ''
  client.close()
  times.sort((a, b) => a - b)
  return { said, slowest: times[Math.floor(times.length * 0.99)], peak }
}

/** Runs a flood, and holds its memory at the worst and its neighbour's patience against what is allowed. */
async function check(t, harm) {
  const before = residentKb()
  const { said, slowest, peak } = await beside(harm)
  const growth = peak - before
  t.diagnostic(`${said}memory grew by ${growth} kB to ${peak} kB at most, and is ${residentKb()} kB; p99 beside it ${slowest.toFixed(1)} ms`)
  assert.ok(growth < GROWTH_KB_MAX, `${growth} kB more`)
  assert.ok(slowest < BESIDE_MS_MAX, `${slowest} ms`)
}

function* times(count, piece) {
  for (let index = 0; index < count; index += 1) yield piece(index)
}

/** Floods one connection with pieces; what comes back is read, or not. */
async function pour(pieces, { settings, read = true } = {}) {
  const socket = await open(server, settings)
  if (read) socket.resume()
  const written = await flood(socket, pieces, FLOOD_MS)
  // What was made of it shows a little later.
  await Promise.race([socket.gone, new Promise((done) => setTimeout(done, 500))])
  const ended = socket.destroyed ? 'ended by the server' : 'let be'
  socket.destroy()
  await socket.gone
  return `${Math.ceil(written / 1000)} kB, ${ended}; `
}

const floods = {
  'rapid reset': () => pour(times(2_000, (index) => {
    const stream = 1 + 2 * index
    return Buffer.concat([frame(1, 5, stream, getPath('/large.bin')), frame(3, 0, stream, number(8))])
  })),
  'made-you-reset': () => pour(times(5_000, (index) => {
    const stream = 1 + 2 * index
    return Buffer.concat([frame(1, 4, stream, post), frame(8, 0, stream, number(0))])
  })),
  'CONTINUATION without end': () => pour((function* () {
    yield frame(1, 1, 1, get)
    yield* times(20_000, () => frame(9, 0, 1, Buffer.from('\x00\x01a\x01b'.repeat(200), 'latin1')))
  })()),
  'empty CONTINUATION': () => pour((function* () {
    yield frame(1, 1, 1, get)
    yield* times(2_000, () => Buffer.concat([...times(100, () => frame(9, 0, 1))]))
  })()),
  'SETTINGS': () => pour(times(2_000, () => Buffer.concat([...times(100, () => frame(4, 0, 0, setting(4, 1_000)))]))),
  'SETTINGS, acknowledgements unread': () => pour(times(2_000, () => Buffer.concat([...times(100, () => frame(4, 0, 0))])), { read: false }),
  'PING': () => pour(times(2_000, () => Buffer.concat([...times(100, () => frame(6, 0, 0, Buffer.alloc(8)))]))),
  'PING, answers unread': () => pour(times(2_000, () => Buffer.concat([...times(100, () => frame(6, 0, 0, Buffer.alloc(8)))])), { read: false }),
  'empty DATA': () => pour((function* () {
    yield frame(1, 4, 1, post)
    yield* times(2_000, () => Buffer.concat([...times(100, () => frame(0, 0, 1))]))
  })()),
  'PRIORITY': () => pour(times(2_000, (index) => Buffer.concat([...times(100, (other) => frame(2, 0, 1 + 2 * (100 * index + other), Buffer.from([0, 0, 0, 0, 9])))]))),
  'PRIORITY_UPDATE': () => pour(times(2_000, (index) => Buffer.concat([...times(100, (other) => frame(16, 0, 0, Buffer.concat([number(1 + 2 * (100 * index + other)), Buffer.from('u=1')])))]))),
  'window updates': () => pour((function* () {
    yield frame(1, 5, 1, getPath('/large.bin'))
    yield* times(2_000, () => Buffer.concat([...times(100, () => frame(8, 0, 1, number(1)))]))
  })()),
  'an HPACK bomb': () => pour(times(500, (index) => {
    // A field of 4,000 bytes goes into the table once, and is then named by one byte each time.
    const stream = 1 + 2 * index
    const field = Buffer.concat([Buffer.from('\x40\x01a\x7f\xa1\x1e', 'latin1'), Buffer.alloc(4_000, 97)])
    return frame(1, 5, stream, Buffer.concat([get, field, Buffer.alloc(10_000, 0xbe)]))
  })),
  'requests, answers unread': () => pour(times(1_000, (index) => frame(1, 5, 1 + 2 * index, getPath('/large.bin'))), { read: false, settings: setting(4, 0x7fffffff) }),
}

for (const [name, harm] of Object.entries(floods)) {
  test(`a flood: ${name}`, { timeout: 60_000 }, (t) => check(t, harm))
}

/** Opens many connections, does something with each, waits a little, and ends them. */
async function crowd(count, each) {
  const sockets = []
  for (let index = 0; index < count; index += 20) {
    const more = Array.from({ length: Math.min(20, count - index) }, each)
    sockets.push(...(await Promise.all(more)))
  }
  await Promise.race([Promise.all(sockets.map((socket) => socket.gone)), new Promise((done) => setTimeout(done, 1_000))])
  for (const socket of sockets) socket.destroy()
  await Promise.all(sockets.map((socket) => socket.gone))
}

test('a zero window on many large answers', { timeout: 60_000 }, (t) =>
  check(t, () => crowd(40, async () => {
    const socket = await open(server, setting(4, 0))
    socket.resume()
    socket.write(Buffer.concat([...times(100, (index) => frame(1, 5, 1 + 2 * index, getPath('/large.bin')))]))
    return socket
  })))

test('a window of a few bytes, and nobody who reads', { timeout: 60_000 }, (t) =>
  check(t, () => crowd(40, async () => {
    const socket = await open(server, setting(4, 20_000))
    socket.pause()
    socket.write(Buffer.concat([frame(8, 0, 0, number(0x7fff0000 - 65_535)), ...times(100, (index) => frame(1, 5, 1 + 2 * index, getPath('/large.bin')))]))
    return socket
  })))

test('connections that never shake hands', { timeout: 60_000 }, (t) =>
  check(t, () => crowd(300, () => new Promise((resolve, reject) => {
    const socket = net.connect(server.port, '127.0.0.1', () => resolve(socket))
    socket.gone = new Promise((done) => socket.on('close', done))
    socket.on('error', reject)
    socket.write(Buffer.from([22, 3, 1, 2, 0]))
  }))))

test('connections that shake hands and say nothing', { timeout: 60_000 }, (t) => check(t, () => crowd(300, () => connect(server))))

test('connections that ask once and stay', { timeout: 60_000 }, (t) =>
  check(t, () => crowd(300, async () => {
    const socket = await open(server)
    socket.resume()
    socket.write(frame(1, 5, 1, get))
    return socket
  })))

test('an address has so many connections, and then no more', { timeout: 60_000 }, async () => {
  const strict = await Server.start(server.root, ['--max-connections-per-address', '2'])
  const first = await connect(strict)
  const second = await connect(strict)
  await assert.rejects(connect(strict), 'the third is closed before TLS')
  first.destroy()
  await first.gone
  // The server hears of it in its own time.
  for (let tries = 0; ; tries += 1) {
    const again = await connect(strict).catch(() => undefined)
    if (again) {
      again.destroy()
      break
    }
    assert.ok(tries < 200, 'the place is given back')
  }
  second.destroy()
  await strict.stop()
})

test('there are so many connections, and then one waits', { timeout: 60_000 }, async () => {
  const strict = await Server.start(server.root, ['--max-connections', '2'])
  const first = await connect(strict)
  const second = await connect(strict)
  let third
  const waiting = connect(strict).then((socket) => (third = socket))
  await new Promise((done) => setTimeout(done, 500))
  assert.equal(third, undefined, 'the third waits')
  first.destroy()
  await waiting
  for (const socket of [second, third]) socket.destroy()
  await strict.stop()
})

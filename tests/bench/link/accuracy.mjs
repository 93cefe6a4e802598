// node tests/bench/link/accuracy.mjs [LINK...]
//
// What the emulated link does, beside what it was set to: round trips of a small packet, bytes of
// one TCP connection in each direction, and loss. Needs root and /dev/net/tun.

import { spawn } from 'node:child_process'
import net from 'node:net'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import { lacksLink, parseLink, withLink } from './link.mjs'

const PORT = 7
const ROUND_TRIPS = 31
const BULK_S = 3
// Of 1,500 bytes on the link, 52 are headers of IP and TCP (with timestamps).
const PAYLOAD_SHARE = 1448 / 1500
const UNLIMITED_BULK_BYTES = 50e6

// A queue that never fills: what TCP makes of losses is not the link's rate.
const QUEUE = 'queue=8M'
const LINKS = [
  'rtt=20ms',
  `rtt=28ms,down=5M,up=1M,${QUEUE}`,
  `rtt=150ms,down=1.6M,up=750k,${QUEUE}`,
  `rtt=170ms,down=9M,up=9M,${QUEUE}`,
  'rtt=20ms,down=50M,up=50M,loss=1%',
]

if (process.argv[2] === 'serve') serve(process.argv[3])
else if (process.argv[2] === 'ask') await ask(...process.argv.slice(3))
else await print(process.argv.length > 2 ? process.argv.slice(2) : LINKS)

async function print(links) {
  const lacks = await lacksLink()
  if (lacks) {
    console.error(`cannot measure the link: ${lacks}`)
    process.exit(2)
  }
  await withLink(async (link) => {
    const server = run(link.server, 'serve', link.address)
    await firstLine(server)
    for (const text of links) await printOne(link, text)
    server.kill()
  })
}

async function printOne(link, text) {
  await link.set(text)
  await link.report()
  const set = parseLink(text)
  const bulk = (bits) => String(bits ? Math.round((bits / 8) * BULK_S) : UNLIMITED_BULK_BYTES)
  const got = JSON.parse(await firstLine(run(link.client, 'ask', link.address, bulk(set.down), bulk(set.up))))
  const seen = await link.report()
  const rate = (name) => {
    const possible = set[name] ? `${((set[name] * PAYLOAD_SHARE) / 1e6).toFixed(2)} possible, ` : ''
    return `${name} ${possible}got ${(got[name] / 1e6).toFixed(2)} Mbit/s`
  }
  const best = `${got.rtt_min_ms.toFixed(1)} at best, ${got.rtt_ms.toFixed(1)} in the middle`
  console.log(`${text}
  round trip set ${(set.rtt * 1e3).toFixed(0)} ms, got ${best}
  ${rate('down')}; ${rate('up')}
  ${seen.packets} packets, ${seen.overflowed} found the queue full, ${seen.lost} lost; ` +
    `${seen.late_mean_ms.toFixed(3)} ms late, ${seen.late_max_ms.toFixed(1)} at most`)
}

/** Runs this file at an end of the link. */
function run([program, ...words], ...args) {
  const own = fileURLToPath(import.meta.url)
  return spawn(program, [...words, process.execPath, own, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function firstLine(child) {
  return (await readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()).value
}

/** A byte asks for a byte back; a line with a number asks for as many, or says how many will come. */
function serve(address) {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    let coming = 0
    socket.on('data', (bytes) => {
      if (coming > 0) {
        coming -= bytes.length
        if (coming <= 0) socket.end('x')
      } else if (bytes[0] === 0x2e) socket.write('.')
      else {
        const [, word, number] = `${bytes}`.match(/^(\w+) (\d+)\n/)
        if (word === 'down') socket.end(Buffer.alloc(Number(number)))
        else {
          coming = Number(number)
          socket.write('.')
        }
      }
    })
  })
  server.listen(PORT, address, () => console.log('listening'))
}

async function ask(address, down_bytes, up_bytes) {
  const trips = []
  const small = await connect(address)
  for (let index = 0; index < ROUND_TRIPS; index++) {
    const start = performance.now()
    small.write('.')
    await next(small, 'data')
    trips.push(performance.now() - start)
  }
  small.destroy()
  trips.sort((a, b) => a - b)

  // The first byte's arrival starts the clock; slow start is over within the first half.
  const incoming = await connect(address)
  const down = await new Promise((resolve) => {
    const arrivals = []
    let total = 0
    incoming.on('data', (bytes) => arrivals.push([performance.now(), (total += bytes.length)]))
    incoming.on('end', () => resolve(rateOf(arrivals)))
    incoming.write(`down ${down_bytes}\n`)
  })

  const outgoing = await connect(address)
  outgoing.write(`up ${up_bytes}\n`)
  await next(outgoing, 'data')
  const start = performance.now()
  const echoed = next(outgoing, 'data')
  outgoing.write(Buffer.alloc(Number(up_bytes)))
  await echoed
  const up = (8e3 * Number(up_bytes)) / (performance.now() - start - trips[ROUND_TRIPS >> 1])
  outgoing.destroy()
  console.log(JSON.stringify({ rtt_min_ms: trips[0], rtt_ms: trips[ROUND_TRIPS >> 1], down, up }))
}

/** Bits per second over the second half. */
function rateOf(arrivals) {
  const half = arrivals.find(([, total]) => total >= arrivals.at(-1)[1] / 2)
  const last = arrivals.at(-1)
  return (8e3 * (last[1] - half[1])) / (last[0] - half[0])
}

function next(socket, event) {
  return new Promise((resolve) => socket.once(event, resolve))
}

async function connect(address) {
  const socket = net.connect({ host: address, port: PORT, noDelay: true })
  socket.on('error', (error) => {
    throw error
  })
  await next(socket, 'connect')
  return socket
}

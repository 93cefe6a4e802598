// What a server costs: h2load asks, and /proc tells the time that its processes spent.

import { readFileSync, readdirSync } from 'node:fs'
import tls from 'node:tls'
import { run } from '../../outside/lib/tools.mjs'
import { on } from './peers.mjs'

const TICKS_A_SECOND = 100
const DEADLINE_MS = 120_000
/** One for all: what is compared is the servers, not the ciphers. */
const CIPHER = 'TLS_AES_128_GCM_SHA256'
const UNITS = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }

/** Fields of /proc/PID/stat after the name, which may have spaces. */
function stat(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** A process and all that it has started. */
function family(pid) {
  const parents = new Map()
  for (const other of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      parents.set(Number(other), Number(stat(other)[1]))
    } catch {
      // It has ended meanwhile.
    }
  }
  const found = [pid]
  for (const each of found) for (const [other, parent] of parents) if (parent === each) found.push(other)
  return found
}

/** Seconds that the processes have spent, user and system. */
function spent_s(pids) {
  const ticks = pids.map((pid) => Number(stat(pid)[11]) + Number(stat(pid)[12]))
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_A_SECOND
}

/** Asks `requests` times; returns the seconds that took, and the seconds that the server spent. */
async function h2load(peer, target, { requests, connections, streams, cores }) {
  const pids = family(peer.child.pid)
  const before = spent_s(pids)
  const load = ['-t', '1', '-n', requests, '-c', connections, '-m', streams, `--tls13-ciphers=${CIPHER}`]
  const command = ['h2load', ...load.map(String), `https://127.0.0.1:${peer.port}${target}`]
  const [program, ...words] = on(cores, command)
  const { stdout } = await run(program, words, { deadline_ms: DEADLINE_MS })
  const took = stdout.match(/finished in ([\d.]+)(us|ms|s|m)\b/)
  const succeeded = stdout.match(/status codes: (\d+) 2xx/)
  if (!took || Number(succeeded?.[1]) !== requests) throw new Error(`${peer.name} ${target}: ${stdout}`)
  return { took_s: took[1] * UNITS[took[2]], spent_s: spent_s(pids) - before }
}

/**
 * Loads a server for about `window_s`, and returns what a request costs it in seconds, and how many
 * it answers in one.
 */
export async function cost(peer, { target, probe, connections = 10, streams = 32, cores }, window_s) {
  const load = { connections, streams, cores }
  // Warms it up, and says how many fill the window.
  const { took_s } = await h2load(peer, target, { requests: probe, ...load })
  const requests = Math.max(connections, Math.round((probe / took_s) * window_s))
  const loaded = await h2load(peer, target, { requests, ...load })
  return { each_s: loaded.spent_s / requests, rate: requests / loaded.took_s }
}

/** The same of new connections, each for one request: `together` at a time. */
export async function handshakeCost(peer, { target, together, cores }, window_s) {
  let [took_s, spent, count] = [0, 0, 0]
  while (took_s < window_s) {
    const loaded = await h2load(peer, target, { requests: together, connections: together, streams: 1, cores })
    took_s += loaded.took_s
    spent += loaded.spent_s
    count += together
  }
  return { each_s: spent / count, rate: count / took_s }
}

const frame = (kind, flags, stream, payload = '') => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = kind
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, Buffer.from(payload, 'latin1')])
}

/** Asks once over a connection of its own; resolves when the answer is whole. */
function ask(port, target) {
  const fields = `\x82\x87\x04${String.fromCharCode(target.length)}${target}\x01\x09localhost`
  const hello = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
    frame(4, 0, 0),
    frame(1, 5, 1, fields),
  ])
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    let bytes = Buffer.alloc(0)
    socket.setNoDelay(true)
    socket.once('secureConnect', () => socket.write(hello))
    socket.on('error', reject).on('close', () => reject(new Error('closed without an answer')))
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more])
      for (let at = 0; bytes.length >= at + 9; at += 9 + bytes.readUIntBE(at, 3)) {
        const isDone = bytes[at + 3] < 2 && (bytes[at + 4] & 1) === 1 && bytes.readUInt32BE(at + 5) === 1
        if (isDone && bytes.length >= at + 9 + bytes.readUIntBE(at, 3)) {
          socket.removeAllListeners('close').destroy()
          resolve()
          return
        }
      }
    })
  })
}

/** Milliseconds from a server's start to the end of its first answer. */
export async function firstAnswer_ms(peer, target, deadline_ms = 30_000) {
  for (;;) {
    try {
      await ask(peer.port, target)
      return performance.now() - peer.started_ms
    } catch (error) {
      const isEarly = error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET'
      if (!isEarly || performance.now() - peer.started_ms > deadline_ms) throw error
      await new Promise((resolve) => setTimeout(resolve, 0.5))
    }
  }
}

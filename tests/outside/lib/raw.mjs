// A client that writes HTTP/2 frames by hand over TLS: what no library would say.

import { readFileSync } from 'node:fs'
import tls from 'node:tls'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** `GET /` of `https://localhost`, as HPACK has it without tables. */
export const get = Buffer.from('\x82\x84\x87\x01\x09localhost', 'latin1')
/** `GET` of another path. */
export const getPath = (path) => Buffer.from(`\x82\x87\x04${String.fromCharCode(path.length)}${path}\x01\x09localhost`, 'latin1')
/** `POST /` of `https://localhost`. */
export const post = Buffer.from('\x83\x84\x87\x01\x09localhost', 'latin1')

/** The bytes of a frame. */
export function frame(kind, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = kind
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A number of 32 bits, as a payload. */
export function number(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** One setting, as a payload. */
export function setting(identifier, value) {
  const bytes = Buffer.alloc(6)
  bytes.writeUInt16BE(identifier)
  bytes.writeUInt32BE(value, 2)
  return bytes
}

/** Opens a TLS connection that says nothing yet; its end is no error. */
export function connect(server, protocol = 'h2', options = {}) {
  return new Promise((resolve, reject) => {
    const ca = readFileSync(server.authority)
    const socket = tls.connect({ host: '127.0.0.1', port: server.port, servername: 'localhost', ca, ALPNProtocols: [protocol], ...options })
    socket.gone = new Promise((done) => socket.on('close', done))
    socket.once('secureConnect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

/** Opens an HTTP/2 connection with these settings as a payload. */
export async function open(server, settings = Buffer.alloc(0)) {
  const socket = await connect(server)
  socket.write(Buffer.concat([Buffer.from(PREFACE, 'latin1'), frame(4, 0, 0, settings), frame(4, 1, 0)]))
  return socket
}

/** Writes a buffer over and over, waiting where the peer makes it wait; ends early if the peer closes. Returns the bytes written. */
export async function flood(socket, pieces, deadline_ms) {
  const until = Date.now() + deadline_ms
  let written = 0
  for (const piece of pieces) {
    if (socket.destroyed || Date.now() > until) break
    written += piece.length
    if (!socket.write(piece)) {
      const rest = Math.max(1, until - Date.now())
      let timer
      const late = new Promise((done) => (timer = setTimeout(done, rest)))
      await Promise.race([new Promise((done) => socket.once('drain', done)), socket.gone, late])
      clearTimeout(timer)
    }
  }
  return written
}

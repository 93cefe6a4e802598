// An HTTP/2 client that takes pushes: Node's own, with the order of what it saw.

import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import { within } from './tools.mjs'

const ANSWER_MS = 15_000

/** Connects while `use` runs. `take(promise)` may refuse a promise by returning an error code. */
export async function withPeer(server, use, { take = () => undefined, settings = {} } = {}) {
  const peer = await Peer.connect(server, take, settings)
  try {
    return await use(peer)
  } finally {
    await peer.close()
  }
}

/** One connection. */
export class Peer {
  static async connect(server, take, settings) {
    const peer = new Peer()
    peer.errors = []
    peer.promises = []
    peer.session = http2.connect(server.origin, { ca: readFileSync(server.authority), settings })
    peer.session.on('error', (error) => peer.errors.push(error))
    peer.session.on('goaway', (code) => code && peer.errors.push(new Error(`GOAWAY ${code}`)))
    peer.session.on('stream', (stream, headers) => peer.#promised(stream, headers, take))
    const connected = new Promise((resolve, reject) => {
      peer.session.once('connect', resolve)
      peer.session.once('error', reject)
    })
    await within(ANSWER_MS, 'the connection', connected)
    return peer
  }

  #promised(stream, headers, take) {
    const promise = { path: headers[':path'], id: stream.id, headers, body: Buffer.alloc(0) }
    this.promises.push(promise)
    const chunks = []
    stream.on('push', (answer) => {
      promise.status = answer[':status']
      promise.answer = answer
    })
    stream.on('data', (bytes) => chunks.push(bytes))
    stream.on('error', (error) => (promise.error = error))
    promise.done = new Promise((resolve) =>
      stream.on('close', () => {
        promise.body = Buffer.concat(chunks)
        promise.reset = stream.rstCode
        resolve()
      }),
    )
    const refusal = take(promise)
    if (refusal !== undefined) stream.close(refusal)
  }

  /** Asks, and waits for the answer and everything that was promised meanwhile. */
  async ask(path, headers = {}) {
    const first = this.promises.length
    const stream = this.session.request({ ':path': path, ...headers })
    const answer = { hints: [] }
    const chunks = []
    stream.on('headers', (informational) => answer.hints.push(informational))
    stream.on('response', (head) => {
      answer.status = head[':status']
      answer.headers = head
      answer.promisedBefore = this.promises.length - first
    })
    stream.on('data', (bytes) => chunks.push(bytes))
    const done = new Promise((resolve, reject) => {
      stream.on('error', reject)
      stream.on('close', resolve)
    })
    stream.end()
    await within(ANSWER_MS, `the answer to ${path}`, done)
    answer.body = Buffer.concat(chunks)
    answer.promises = this.promises.slice(first)
    await within(ANSWER_MS, `what was promised with ${path}`, Promise.all(answer.promises.map((promise) => promise.done)))
    answer.pushed = answer.promises.map((promise) => promise.path)
    return answer
  }

  /** Asks as a browser does when its user goes to a page. */
  navigate(path, headers = {}) {
    return this.ask(path, {
      accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
      'sec-fetch-dest': 'document',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-site': 'none',
      'sec-fetch-user': '?1',
      ...headers,
    })
  }

  /** Navigates until something is pushed, or for ten seconds: what is new takes a moment to be known. */
  async untilPushed(path, headers = {}) {
    const deadline = Date.now() + 10_000
    for (;;) {
      const answer = await this.navigate(path, headers)
      if (answer.pushed.length > 0 || Date.now() > deadline) return answer
    }
  }

  async close() {
    if (this.session.destroyed) return
    const closed = new Promise((resolve) => this.session.once('close', resolve))
    this.session.close()
    await within(ANSWER_MS, 'the end of the connection', closed).catch(() => this.session.destroy())
  }
}

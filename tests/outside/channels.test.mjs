// Channels as others find them: curl in all ways it knows, `forerun publish`, and node's own WebSocket
// client, which trusts the authority that the server minted.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { binary, environment, withServer } from './lib/forerun.mjs'
import { missing, run, scratch, writeSite } from './lib/tools.mjs'

const timed = { skip: missing('curl'), timeout: 60_000 }
const site = () => writeSite({ 'index.html': '<!doctype html><title>t</title><p>hello' })

/** Asks with curl; returns what it writes. */
async function curl(server, target, ...args) {
  const options = ['-sS', '--max-time', '20', '--cacert', server.authority]
  const result = await run('curl', [...options, ...args, server.origin + target])
  assert.equal(result.code, 0, result.stderr)
  return result.stdout
}

/** Runs `forerun publish` as the user who serves. */
const publish = (server, args, options = {}) =>
  run(binary, ['publish', ...args, '--url', server.origin, '--authority', server.authority], { cwd: server.home, env: { ...environment(server.home), ...options.env } })

const messages = (lines) => lines.trim().split('\n').map((line) => JSON.parse(line).message)

/** A token for these topics, signed with a secret. */
function token(secret, mercure) {
  const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url')
  const said = `${part({ alg: 'HS256' })}.${part({ mercure })}`
  return `${said}.${createHmac('sha256', secret).update(said).digest('base64url')}`
}

/** A WebSocket of node's, in a process of its own: it reads whom to trust when it starts. */
class Talk {
  constructor(server, target) {
    const script = `
      const socket = new WebSocket(process.argv[1])
      socket.onmessage = ({ data }) => console.log(data)
      socket.onclose = ({ code }) => { console.log(JSON.stringify({ code })); process.exit() }
      require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => socket.send(line))
      socket.onopen = () => console.log('{"open":true}')`
    const url = server.origin.replace('https', 'wss') + target
    this.child = spawn(process.execPath, ['--experimental-websocket', '--no-warnings', '-e', script, url], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: server.authority },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  /** Says something, as JSON. */
  say(object) {
    this.child.stdin.write(`${JSON.stringify(object)}\n`)
  }

  /** Returns the next thing that is heard, of which all these members are so. */
  async hear(expected) {
    const { value, done } = await this.lines.next()
    assert.ok(!done, 'it has ended')
    const heard = JSON.parse(value)
    for (const [name, said] of Object.entries(expected)) assert.deepEqual(heard[name], said, value)
    return heard
  }

  end() {
    this.child.kill()
  }
}

for (const version of ['--http1.1', '--http2']) {
  test(`curl ${version}: the same channel in all its ways`, timed, async () => {
    await withServer(site(), ['--demo'], async (server) => {
      const first = await curl(server, '/channels/demo/chat', version, '-d', 'hello')
      assert.match(first, /^\d+\.1$/)
      await curl(server, '/.well-known/mercure', version, '-d', 'topic=demo/chat', '-d', 'data=by form')
      const polled = JSON.parse(await curl(server, '/channels/demo/chat', version))
      assert.deepEqual(polled.events.map((event) => event.message), ['hello', 'by form'])
      assert.deepEqual(messages(await curl(server, '/channels/demo/chat/json?poll=1', version)), ['hello', 'by form'])
      assert.equal(await curl(server, `/channels/demo/chat/raw?poll=1&since=${first}`, version), 'by form\n')
      const status = ['-o', '/dev/null', '-w', '%{http_code}', '-H', `If-None-Match: "${polled.cursor}"`]
      assert.equal(await curl(server, '/channels/demo/chat', version, ...status), '304')
      const waiting = curl(server, '/channels/demo/chat?since=none', version, '-H', 'Prefer: wait=15')
      // It may be published before that waits, and then again: whoever waits hears one of them.
      let answered
      waiting.then((text) => (answered = JSON.parse(text)))
      while (!answered) {
        const published = await publish(server, ['demo/chat', 'from the command'])
        assert.equal(published.code, 0, published.stderr)
      }
      assert.equal(answered.events[0].message, 'from the command')
      const mercure = '/.well-known/mercure?topic=demo/chat&lastEventID=earliest&poll=1'
      assert.match(await curl(server, mercure, version), /^id: \d+\.1\ndata: hello\n\nid: \d+\.2\ndata: by form\n\n/)
    })
  })
}

test('node: a WebSocket is spoken with, and told when the server goes', timed, async () => {
  const directory = path.join(scratch('events'), 'kept')
  await withServer(site(), ['--demo', `--channels=${directory}`], async (server) => {
    const talk = new Talk(server, '/channels/demo/chat')
    await talk.hear({ open: true })
    const { cursor } = await talk.hear({ event: 'open' })
    talk.say({ publish: 'demo/chat', data: 'one', ref: 1 })
    const heard = [await talk.hear({}), await talk.hear({})].map(({ event }) => event)
    assert.deepEqual(heard.sort(), ['message', 'published'])
    assert.equal((await publish(server, ['demo/other', 'two'])).code, 0)
    talk.say({ subscribe: 'demo/other', after: cursor, ref: 'x' })
    await talk.hear({ event: 'subscribed', topic: 'demo/other', ref: 'x' })
    await talk.hear({ event: 'message', topic: 'demo/other', message: 'two' })
    talk.say({ publish: 'news', data: 'x', ref: 2 })
    await talk.hear({ event: 'error', ref: 2 })
    const echo = new Talk(server, '/echo')
    await echo.hear({ open: true })
    echo.say({ back: 'and forth' })
    await echo.hear({ back: 'and forth' })

    await server.restart()
    const { cursor: last } = await talk.hear({ event: 'close' })
    await talk.hear({ code: 1001 })
    await echo.hear({ code: 1001 })
    assert.ok(existsSync(directory))
    const again = new Talk(server, `/channels/demo/chat/ws?since=${cursor}`)
    await again.hear({ open: true })
    await again.hear({ event: 'open', cursor })
    await again.hear({ event: 'message', message: 'one' })
    again.end()
    assert.equal(JSON.parse(await curl(server, `/channels/demo/chat,demo/other?since=${last}`)).events.length, 0)
  })
})

test('tokens: who has none publishes nothing and hears nothing private', timed, async () => {
  const home = scratch('keys')
  const secret = 'a secret of at least thirty-two bytes'
  const file = path.join(home, 'secret')
  writeFileSync(file, `${secret}\n`)
  await withServer(site(), ['--channels', `--channel-key=${file}`, '--channel-anonymous=news'], async (server) => {
    const may = token(secret, { publish: ['news'], subscribe: ['news'] })
    const refused = await publish(server, ['news', 'x'])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /401: publishing here takes a token/)
    const env = { FORERUN_TOKEN: may }
    assert.equal((await publish(server, ['news', 'public'], { env })).code, 0)
    assert.equal((await publish(server, ['news', 'private', '--private'], { env })).code, 0)
    assert.deepEqual(messages(await curl(server, '/channels/news/json?poll=1')), ['public'])
    const shown = ['-H', `Authorization: Bearer ${may}`]
    assert.deepEqual(messages(await curl(server, '/channels/news/json?poll=1', ...shown)), ['public', 'private'])
  })
})

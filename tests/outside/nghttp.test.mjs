// nghttp, a client that takes pushes: the order of frames on the wire.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withServer } from './lib/forerun.mjs'
import { missing, run, writeSite } from './lib/tools.mjs'

const skip = missing('nghttp')

const site = {
  'index.html': `<!doctype html><title>t</title>
    <link rel=stylesheet href=/a.css><link rel=stylesheet href=/b.css><script src=/c.js></script>
    <p>hello</p><img src=/d.svg>`,
  'a.css': `@import "/deep.css"; p { color: green } /* ${'a'.repeat(30_000)} */`,
  'b.css': 'p { margin: 0 }',
  'c.js': 'window.c = 1',
  'd.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'deep.css': 'b { color: red }',
}
const critical = ['/a.css', '/b.css', '/c.js', '/deep.css']

/** The frames that nghttp received, in order. */
async function frames(server, ...args) {
  const { stdout, stderr, code } = await run('nghttp', ['-nv', '--no-dep', ...args])
  assert.equal(code, 0, stderr)
  const received = []
  let path
  for (const line of stdout.replaceAll(/\x1b\[[0-9;]*m/g, '').split('\n')) {
    const pseudo = line.match(/recv \(stream_id=\d+\) :path: (\S+)/)
    if (pseudo) path = pseudo[1]
    const frame = line.match(/recv (\w+) frame <length=(\d+), flags=0x([0-9a-f]+), stream_id=(\d+)>/)
    if (frame) received.push({ type: frame[1], length: Number(frame[2]), ends: /DATA|HEADERS/.test(frame[1]) && (parseInt(frame[3], 16) & 1) === 1, stream: Number(frame[4]) })
    const promise = line.match(/promised_stream_id=(\d+)/)
    if (promise) Object.assign(received.at(-1), { promised: Number(promise[1]), path })
  }
  return received
}

test('nghttp: promises come before the head of the page, in rising order, and all is delivered', { skip, timeout: 60_000 }, async () => {
  await withServer(writeSite(site), [], async (server) => {
    const received = await frames(server, `${server.origin}/`)
    const promises = received.filter((frame) => frame.type === 'PUSH_PROMISE')
    assert.deepEqual(promises.map((frame) => frame.path).sort(), critical)
    const ids = promises.map((frame) => frame.promised)
    assert.deepEqual(ids, [...ids].sort((a, b) => a - b), 'promised ids rise')
    const page = promises[0].stream
    const head = received.findIndex((frame) => frame.type === 'HEADERS' && frame.stream === page)
    assert.ok(promises.every((frame) => received.indexOf(frame) < head), 'promises before HEADERS')
    for (const { promised, path } of promises) {
      const mine = received.filter((frame) => frame.stream === promised)
      const bytes = mine.filter((frame) => frame.type === 'DATA').reduce((sum, frame) => sum + frame.length, 0)
      assert.equal(bytes, site[path.slice(1)].length, `${path} whole`)
      assert.ok(mine.some((frame) => frame.ends), `${path} ended`)
    }
    assert.ok(!received.some((frame) => frame.type === 'RST_STREAM'), 'nothing reset')
    const away = received.filter((frame) => frame.type === 'GOAWAY')
    assert.equal(away.length, 0, 'the connection is not given up')
  })
})

test('nghttp: a client that refuses pushes gets none', { skip, timeout: 60_000 }, async () => {
  await withServer(writeSite(site), [], async (server) => {
    const received = await frames(server, '--no-push', `${server.origin}/`)
    assert.ok(!received.some((frame) => frame.type === 'PUSH_PROMISE'))
    assert.ok(received.some((frame) => frame.type === 'DATA' && frame.ends))
  })
})

test('nghttp -a: a client that loads the page as well asks for nothing it was promised', { skip, timeout: 60_000 }, async () => {
  const server = await withServer(writeSite(site), [], async (server) => {
    await frames(server, '-a', `${server.origin}/`)
    return server
  })
  const gets = server.gets()
  assert.equal(gets.get('/'), 1)
  for (const path of critical) assert.equal(gets.get(path), undefined, `GET ${path}`)
})

test('nghttp: several pages at once, over one connection', { skip, timeout: 60_000 }, async () => {
  const pages = {}
  for (let number = 0; number < 8; number += 1) {
    pages[`${number}.html`] = `<!doctype html><title>${number}</title><link rel=stylesheet href=/${number}.css><script src=/${number}.js></script>`
    pages[`${number}.css`] = `p { margin: ${number}px }`
    pages[`${number}.js`] = `window.n = ${number}`
  }
  await withServer(writeSite(pages), [], async (server) => {
    const targets = Object.keys(pages).filter((name) => name.endsWith('.html')).map((name) => `${server.origin}/${name}`)
    const received = await frames(server, ...targets)
    const ids = received.filter((frame) => frame.type === 'PUSH_PROMISE').map((frame) => frame.promised)
    assert.equal(ids.length, 16)
    assert.deepEqual(ids, [...ids].sort((a, b) => a - b), 'promised ids rise across pages')
    assert.equal(received.filter((frame) => frame.ends).length, 24)
  })
})

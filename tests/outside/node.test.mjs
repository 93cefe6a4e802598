// Node's HTTP/2 client taking pushes: what is pushed, and what never again.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, truncateSync } from 'node:fs'
import { constants } from 'node:http2'
import path from 'node:path'
import { test } from 'node:test'
import { withServer } from './lib/forerun.mjs'
import { withPeer } from './lib/peer.mjs'
import { edit, within, writeSite } from './lib/tools.mjs'

const site = {
  'index.html': `<!doctype html><title>t</title><link rel=stylesheet href=/a.css>
    <script type=module src=/main.js></script><p class=wide>hello</p>`,
  'other.html': '<!doctype html><title>o</title><link rel=stylesheet href=/a.css><link rel=stylesheet href=/c.css><p>other</p>',
  'a.css': '@import "/b.css"; p { color: green }',
  'b.css': `p { margin: 0 } /* ${'b'.repeat(20_000)} */`,
  'c.css': 'p { padding: 0 }',
  'main.js': 'import "./deep.js"; window.main = 1',
  'deep.js': 'window.deep = 1',
}
const needs = ['/a.css', '/b.css', '/deep.js', '/main.js']
const options = { timeout: 60_000 }

test('Node: pushed bodies equal the disk, promised before the page answers', options, async () => {
  const root = writeSite(site)
  await withServer(root, [], (server) =>
    withPeer(server, async (peer) => {
      const answer = await peer.navigate('/')
      assert.equal(answer.status, 200)
      assert.deepEqual([...answer.pushed].sort(), needs)
      assert.equal(answer.promisedBefore, needs.length)
      for (const promise of answer.promises) {
        assert.equal(promise.status, 200)
        assert.equal(promise.headers[':authority'], `localhost:${server.port}`)
        assert.equal(promise.headers.cookie, undefined)
        assert.ok(promise.body.equals(readFileSync(path.join(root, promise.path))), `${promise.path} as on disk`)
      }
    }),
  )
})

test('Node: the connection remembers: a second navigation pushes nothing', options, async () => {
  await withServer(writeSite(site), [], (server) =>
    withPeer(server, async (peer) => {
      await peer.navigate('/')
      assert.deepEqual((await peer.navigate('/')).pushed, [])
      assert.deepEqual((await peer.navigate('/other.html')).pushed, ['/c.css'], 'only what is new')
    }),
  )
})

test('Node: what the client asked for itself counts as held', options, async () => {
  await withServer(writeSite(site), [], (server) =>
    withPeer(server, async (peer) => {
      await peer.ask('/a.css')
      const { pushed } = await peer.navigate('/')
      assert.deepEqual([...pushed].sort(), needs.filter((it) => it !== '/a.css'))
    }),
  )
})

test('Node: an edited style sheet is pushed again, alone', options, async () => {
  const root = writeSite(site)
  await withServer(root, [], (server) =>
    withPeer(server, async (peer) => {
      const first = await peer.navigate('/')
      edit(root, 'b.css', 'p { margin: 1em }')
      const again = await peer.untilPushed('/')
      assert.equal(again.status, 200)
      assert.deepEqual(again.pushed, ['/b.css'])
      assert.equal(`${again.promises[0].body}`, 'p { margin: 1em }')
      assert.notEqual(again.headers.etag, first.headers.etag)
    }),
  )
})

test('Node: a new connection that names what it holds gets a 304 and no promise', options, async () => {
  await withServer(writeSite(site), [], async (server) => {
    const tag = await withPeer(server, async (peer) => (await peer.navigate('/')).headers.etag)
    await withPeer(server, async (peer) => {
      const answer = await peer.navigate('/', { 'if-none-match': tag })
      assert.deepEqual([answer.status, answer.pushed], [304, []])
    })
    for (const spelling of [`W/${tag}`, `"other", ${tag}`, tag.replace(/"$/, '-gzip"')]) {
      await withPeer(server, async (peer) => {
        const answer = await peer.navigate('/', { 'if-none-match': spelling })
        assert.deepEqual(answer.pushed, [], spelling)
      })
    }
    for (const unknown of ['"garbage"', '*', '"']) {
      await withPeer(server, async (peer) => {
        const answer = await peer.navigate('/', { 'if-none-match': unknown })
        assert.equal(answer.pushed.length, answer.status === 304 ? 0 : needs.length, unknown)
      })
    }
  })
})

test('Node: after an edit, a new connection gets 200 and only the edited file', options, async () => {
  const root = writeSite(site)
  await withServer(root, [], async (server) => {
    const tag = await withPeer(server, async (peer) => (await peer.navigate('/')).headers.etag)
    edit(root, 'a.css', '@import "/b.css"; p { color: blue }')
    await withPeer(server, async (peer) => {
      const answer = await peer.untilPushed('/', { 'if-none-match': tag })
      assert.equal(answer.status, 200)
      assert.deepEqual(answer.pushed, ['/a.css'])
      assert.notEqual(answer.headers.etag, tag)
    })
  })
})

test('Node: refusing pushes hurts nobody', options, async () => {
  await withServer(writeSite(site), [], (server) =>
    withPeer(
      server,
      async (peer) => {
        const first = await peer.navigate('/')
        assert.equal(first.status, 200)
        const again = await peer.navigate('/')
        assert.equal(again.status, 200)
        assert.deepEqual([...again.pushed].sort(), needs, 'REFUSED_STREAM does not mean held')
        assert.equal((await peer.ask('/a.css')).status, 200)
        assert.deepEqual(peer.errors, [])
      },
      { take: () => constants.NGHTTP2_REFUSED_STREAM },
    ),
  )
})

test('Node: cancelling pushes means they are held', options, async () => {
  await withServer(writeSite(site), [], (server) =>
    withPeer(
      server,
      async (peer) => {
        assert.equal((await peer.navigate('/')).status, 200)
        const again = await peer.navigate('/')
        assert.deepEqual([again.status, again.pushed], [200, []])
        assert.equal((await peer.ask('/b.css')).body.length, site['b.css'].length)
        assert.deepEqual(peer.errors, [])
      },
      { take: () => constants.NGHTTP2_CANCEL },
    ),
  )
})

test('Node: a client without pushes gets Link, and a 103 when asked for', options, async () => {
  await withServer(writeSite(site), ['--deliver', 'hints'], (server) =>
    withPeer(
      server,
      async (peer) => {
        const answer = await peer.navigate('/')
        assert.deepEqual(answer.pushed, [])
        assert.equal(answer.hints.length, 1)
        assert.equal(answer.hints[0][':status'], 103)
        assert.equal(answer.hints[0].link, answer.headers.link, 'the same Link in both')
        assert.match(answer.headers.link, /<\/b\.css>/)
        const fetched = await peer.ask('/', { 'sec-fetch-mode': 'cors' })
        assert.deepEqual(fetched.hints, [], 'no 103 but for a navigation')
      },
      { settings: { enablePush: false } },
    ),
  )
})

test('Node: no promises for those who did not ask for them', options, async () => {
  await withServer(writeSite(site), [], async (server) => {
    for (const headers of [
      { 'accept-push-policy': 'none' },
      { 'save-data': 'on' },
      { purpose: 'prefetch' },
      { 'sec-purpose': 'prefetch' },
      { ':method': 'HEAD' },
      { ':method': 'OPTIONS' },
    ]) {
      await withPeer(server, async (peer) => {
        assert.deepEqual((await peer.navigate('/', headers)).pushed, [], JSON.stringify(headers))
      })
    }
  })
  await withServer(writeSite(site), ['--deliver', 'none'], (server) =>
    withPeer(server, async (peer) => {
      const answer = await peer.navigate('/')
      assert.deepEqual([answer.pushed, answer.hints, answer.headers.link], [[], [], undefined])
    }),
  )
})

test('Node: a file cut short while it is sent ends in a reset, never in padding', options, async () => {
  const length = 16_000_000
  const root = writeSite({ 'large.bin': Buffer.alloc(length, 'x') })
  await withServer(root, ['--memory-file', '64K'], (server) =>
    withPeer(server, async (peer) => {
      const stream = peer.session.request({ ':path': '/large.bin' })
      const failed = once(stream, 'error')
      const [head] = await once(stream, 'response')
      assert.equal(head['content-length'], String(length))
      truncateSync(path.join(root, 'large.bin'), 1_000_000)
      let received = 0
      stream.on('data', (bytes) => (received += bytes.length))
      const [error] = await within(10_000, 'the reset', failed)
      assert.equal(error.code, 'ERR_HTTP2_STREAM_ERROR')
      assert.ok(received <= 1_000_000, `${received} bytes`)
      assert.equal((await peer.ask('/large.bin')).body.length, 1_000_000, 'the connection lives on')
    }),
  )
})

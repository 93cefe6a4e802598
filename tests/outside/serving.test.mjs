// What a static server is asked for besides files, by curl: pages without their ending, `_headers` and
// `_redirects`, listings, applications, other origins, names and passwords, and plain HTTP.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { binary, forerun, withServer } from './lib/forerun.mjs'
import { missing, run, scratch, writeSite } from './lib/tools.mjs'

const skip = missing('curl')
const timed = { skip, timeout: 60_000 }
const page = '<!doctype html><title>t</title><link rel=stylesheet href=/a.css><p>hello</p>'

/** Asks with curl; returns status, headers and body of the last answer. */
async function curl(server, target, ...args) {
  const url = target.startsWith('http') ? target : server.origin + target
  const options = ['-sSi', '--path-as-is', '--max-time', '10', '--cacert', server.authority]
  const result = await run('curl', [...options, ...args, url])
  assert.equal(result.code, 0, result.stderr)
  const [head, ...body] = result.stdout.replace(/^(HTTP\/\S+ 1\d\d[^]*?\r\n\r\n)+/, '').split('\r\n\r\n')
  const [first, ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]))
  return { status: Number(first.split(' ')[1]), headers, body: body.join('\r\n\r\n') }
}

/** Returns a port that is free now. */
function freePort() {
  return new Promise((resolve) => {
    const listener = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = listener.address()
      listener.close(() => resolve(port))
    })
  })
}

for (const version of ['--http1.1', '--http2']) {
  test(`curl ${version}: _headers, _redirects and pages without their ending`, timed, async () => {
    const root = writeSite({
      'index.html': page,
      'about.html': '<!doctype html><p>about',
      'a.css': 'p { color: green }',
      'app/index.html': '<!doctype html><p>app',
      _headers: '/*\n  X-All: 1\n/a.css\n  Cache-Control: public, max-age=7\n/about\n  Link: </a.css>; rel=preload; as=style\n',
      _redirects: '/old/* /:splat 302\n/app/* /app/index.html 200\n/raw* /:splat\n/q id=:id /about?from=:id\n',
    })
    await withServer(root, [], async (server) => {
      const about = await curl(server, '/about', version)
      assert.deepEqual([about.status, about.body, about.headers['x-all']], [200, '<!doctype html><p>about', '1'])
      assert.equal(about.headers.link, '</a.css>; rel=preload; as=style')
      assert.equal((await curl(server, '/a.css', version)).headers['cache-control'], 'public, max-age=7')
      for (const [target, status, location] of [
        ['/old/a.css?b', 302, '/a.css?b'],
        ['/raw/evil.example/', 301, '/evil.example'],
        ['/q?id=a%26b', 301, '/about?from=a%26b'],
        ['/app', 308, '/app/'],
      ]) {
        const answer = await curl(server, target, version)
        assert.deepEqual([answer.status, answer.headers.location.replace(/\/$/, '')], [status, location.replace(/\/$/, '')], target)
      }
      const rewritten = await curl(server, '/app/deep/er', version)
      assert.deepEqual([rewritten.status, rewritten.body], [200, '<!doctype html><p>app'])
      for (const name of ['_headers', '_redirects']) assert.equal((await curl(server, `/${name}`, version)).status, 404)
    })
  })

  test(`curl ${version}: listings, an application, other origins, what is safe`, timed, async () => {
    const root = writeSite({ 'index.html': page, 'docs/b.txt': 'b', 'docs/.hidden': 'x', 'a.woff2': 'font' })
    const flags = ['--listing', '--spa', '--cors', 'https://a.example', '--secure', '--cache', '*.woff2=max-age=9']
    await withServer(root, flags, async (server) => {
      await server.said(/secure referrer-policy: strict-origin/)
      const listing = await curl(server, '/docs/', version)
      assert.match(listing.body, /href="\/docs\/b.txt"/)
      assert.doesNotMatch(listing.body, /\.hidden/)
      const json = JSON.parse((await curl(server, '/docs/', version, '-H', 'Accept: application/json')).body)
      assert.deepEqual(json.entries.map(({ name, size }) => [name, size]), [['b.txt', 1]])
      const shown = await curl(server, '/users/1', version, '-H', 'Sec-Fetch-Mode: navigate')
      assert.deepEqual([shown.status, shown.body], [200, page])
      assert.equal((await curl(server, '/users/1', version)).status, 404)
      const font = await curl(server, '/a.woff2', version, '-H', 'Origin: https://a.example')
      assert.equal(font.headers['access-control-allow-origin'], 'https://a.example')
      assert.equal(font.headers['cache-control'], 'max-age=9')
      assert.equal(font.headers['x-frame-options'], 'SAMEORIGIN')
      const other = await curl(server, '/a.woff2', version, '-H', 'Origin: https://b.example')
      assert.equal(other.headers['access-control-allow-origin'], undefined)
    })
  })

  test(`curl ${version}: a name and a password`, timed, async () => {
    const hash = await run('sh', ['-c', `echo 'open sesame' | "${binary}" hash ada`])
    assert.match(hash.stdout, /^ada:\$argon2id\$/)
    const users = path.join(scratch('users'), 'users')
    writeFileSync(users, `# who may read\n${hash.stdout}`)
    await withServer(writeSite({ 'index.html': page }), ['--auth-file', users], async (server) => {
      const refused = await curl(server, '/', version)
      assert.deepEqual([refused.status, refused.headers['www-authenticate']], [401, 'Basic realm="forerun", charset="UTF-8"'])
      assert.equal((await curl(server, '/', version, '-u', 'ada:wrong')).status, 401)
      assert.equal((await curl(server, '/', version, '-u', 'ada:open sesame')).body, page)
    })
  })
}

test('plain HTTP is sent to HTTPS, and nothing else', timed, async () => {
  const port = await freePort()
  await withServer(writeSite({ 'index.html': page }), ['--http-port', String(port)], async (server) => {
    const plain = `http://localhost:${port}`
    const sent = await curl(server, `${plain}/a/b?c=d`)
    assert.deepEqual([sent.status, sent.headers.location], [308, `${server.origin}/a/b?c=d`])
    assert.equal(sent.body, '')
    const posted = await curl(server, `${plain}/`, '-d', 'x=1')
    assert.equal(posted.status, 308)
    const other = await curl(server, `${plain}//evil.example/%2e%2e`)
    assert.equal(other.headers.location, `${server.origin}//evil.example/%2e%2e`)
    assert.equal((await curl(server, `${plain}/`, '-H', 'Host: evil.example')).status, 421)
    assert.equal((await curl(server, `${plain}/`, '-H', 'Host: a@localhost')).status, 400)
    assert.equal((await curl(server, `${plain}/`, '-H', `X: ${'y'.repeat(9000)}`)).status, 431)
    const followed = await run('curl', ['-sSL', '--cacert', server.authority, `${plain}/`])
    assert.equal(followed.stdout, page)
  })
})

test('what cannot be meant keeps the server from starting', timed, async () => {
  const root = writeSite({ 'index.html': page })
  for (const [args, said] of [
    [['--auth', 'ada:secret'], /forerun hash/],
    [['--cors', 'example.com'], /takes an origin/],
    [['--cache', '*.css'], /GLOB=VALUE/],
    [['--spa=/nothing.html'], /no such file/],
  ]) {
    const refused = await forerun(['serve', root, ...args])
    assert.notEqual(refused.code, 0, args.join(' '))
    assert.match(refused.stderr, said)
    assert.doesNotMatch(refused.stderr, /secret/)
  }
  for (const [name, text, said] of [
    ['_redirects', '/a /b\n/api/* https://api.example/:splat 200\n', /_redirects`: line 2: 200 from another host/],
    ['_headers', '/*\n  Content-Length: 1\n', /_headers`: line 2: Content-Length is the server's own/],
  ]) {
    const refused = await forerun(['serve', writeSite({ 'index.html': page, [name]: text })])
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, said)
  }
})

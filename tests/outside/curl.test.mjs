// curl, over HTTP/1.1 and HTTP/2: what any client sees, and what odd requests get.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Server, withServer } from './lib/forerun.mjs'
import { missing, run, writeSite } from './lib/tools.mjs'

const page = '<!doctype html><title>t</title><link rel=stylesheet href=/a.css><p>hello</p>'
const large = Buffer.alloc(6_000_000, 'what is too large for memory ')
const files = {
  'large.bin': large,
  'index.html': page,
  'a.css': '@import "/deep.css"; p { color: green }',
  'deep.css': 'p { margin: 0 }',
  'long.css': Array.from({ length: 400 }, (_, line) => `.item-${line} { margin: ${line % 7}px }\n`).join(''),
  'built.js': '// what was built beforehand\n',
  'built.js.br': 'built beforehand',
  'docs/index.html': '<!doctype html><title>docs</title>',
  'spaced name.txt': 'spaced',
  '.hidden': 'secret',
  '.git/config': 'secret',
  '.well-known/security.txt': 'Contact: mailto:nobody@localhost',
  '../outside.txt': 'secret',
}

let server
const skip = missing('curl')

before(async () => {
  if (skip) return
  const root = writeSite(files)
  symlinkSync('../outside.txt', path.join(root, 'way-out.txt'))
  spawnSync('mkfifo', [path.join(root, 'fifo')])
  server = await Server.start(root)
})

after(() => server?.stop())

async function curl(version, target, ...args) {
  const url = target.startsWith('https:') ? target : server.origin + target
  const result = await run('curl', ['-sSi', version, '--path-as-is', '--max-time', '10', '--cacert', server.authority, ...args, url])
  assert.equal(result.code, 0, result.stderr)
  // A 103 before the answer is an answer's head of its own.
  const heads = []
  let rest = result.stdout
  while (/^HTTP\//.test(rest)) {
    const end = rest.indexOf('\r\n\r\n')
    heads.push(rest.slice(0, end))
    rest = rest.slice(end + 4)
    if (!/^HTTP\/\S+ 1\d\d/.test(heads.at(-1))) break
  }
  const lines = heads.at(-1).split('\r\n')
  const headers = {}
  for (const line of lines.slice(1)) headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 2)
  return { status: Number(lines[0].split(' ')[1]), version: lines[0].split(' ')[0], headers, body: rest, heads }
}

for (const [version, name] of [['--http1.1', 'HTTP/1.1'], ['--http2', 'HTTP/2']]) {
  const over = (what, body) => test(`curl over ${name}: ${what}`, { skip, timeout: 60_000 }, body)

  over('a page, with its validators and its type', async () => {
    const { status, headers, body, version: spoken } = await curl(version, '/')
    assert.equal(status, 200)
    assert.equal(spoken, name)
    assert.equal(body, page)
    assert.match(headers['content-type'], /^text\/html; ?charset=utf-8$/i)
    assert.equal(headers['content-length'], String(page.length))
    assert.equal(headers['cache-control'], 'no-cache')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.match(headers.etag, /^(W\/)?"[!#-~]+"$/)
    assert.ok(!Number.isNaN(Date.parse(headers['last-modified'])))
  })

  over('304 for what the client still has', async () => {
    for (const target of ['/', '/a.css']) {
      const { headers } = await curl(version, target)
      const same = await curl(version, target, '-H', `If-None-Match: ${headers.etag}`)
      assert.deepEqual([same.status, same.body], [304, ''], `${target} by its ETag`)
      assert.equal(same.headers.etag, headers.etag)
      const since = await curl(version, target, '-H', `If-Modified-Since: ${headers['last-modified']}`)
      assert.deepEqual([since.status, since.body], [304, ''], `${target} by its date`)
      const other = await curl(version, target, '-H', 'If-None-Match: "other"')
      assert.equal(other.status, 200)
      const listed = await curl(version, target, '-H', `If-None-Match: "other", W/${headers.etag.replace(/^W\//, '')}`)
      assert.equal(listed.status, 304, 'in a list, weak')
    }
  })

  over('a directory redirects to its slash and keeps the query', async () => {
    const { status, headers } = await curl(version, '/docs?a=b&c=%20')
    assert.ok([301, 302, 307, 308].includes(status), String(status))
    assert.equal(headers.location, '/docs/?a=b&c=%20')
    assert.equal((await curl(version, '/docs/?a=b')).status, 200)
  })

  over('HEAD says what GET would, without a body', async () => {
    const got = await curl(version, '/a.css')
    const head = await curl(version, '/a.css', '--head')
    assert.deepEqual([head.status, head.body], [200, ''])
    for (const field of ['content-length', 'content-type', 'etag', 'last-modified', 'cache-control']) {
      assert.equal(head.headers[field], got.headers[field], field)
    }
  })

  over('OPTIONS names the methods, and others get 405 with them', async () => {
    const options = await curl(version, '/a.css', '-X', 'OPTIONS')
    assert.ok([200, 204].includes(options.status))
    assert.match(options.headers.allow, /GET/)
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'BREW']) {
      const refused = await curl(version, '/a.css', '-X', method)
      assert.equal(refused.status, 405, method)
      for (const allowed of ['GET', 'HEAD', 'OPTIONS']) assert.match(refused.headers.allow, new RegExp(allowed))
    }
    const posted = await curl(version, '/', '--data', 'a=b')
    assert.equal(posted.status, 405)
  })

  over('nothing outside the site, whatever the path', async () => {
    const odd = [
      '/nothing', '/docs/nothing', '/a.css/', '/fifo', '/way-out.txt', '/.hidden', '/.git/config', '/push.toml',
      '/../outside.txt', '/%2e%2e/outside.txt', '/..%2foutside.txt', '/docs/../../outside.txt', '/docs/..%2f..%2foutside.txt',
      '/%00', '/a.css%00', '/%ff', '/%c0%ae%c0%ae/outside.txt', '/..\\outside.txt', '/..%5coutside.txt', '/%', '/%zz',
      '//', '//localhost/docs', '//example.org/', '//example.org/..', '//example.org/%2e%2e', '/docs//index.html', `/${'a'.repeat(5_000)}`,
    ]
    for (const target of odd) {
      const { status, headers, body } = await curl(version, target)
      assert.ok([400, 404, 414].includes(status), `${target}: ${status}`)
      assert.equal(headers.location, undefined, `${target} redirects`)
      assert.doesNotMatch(body, /secret/, target)
    }
    assert.equal((await curl(version, '/.well-known/security.txt')).status, 200)
    assert.equal((await curl(version, '/spaced%20name.txt')).body, 'spaced')
    assert.equal((await curl(version, '/a.css?version=1')).status, 200)
  })

  over('a file that is streamed from disk arrives whole', async () => {
    // Again and again: a transfer once stood still about one time in fifteen.
    for (let time = 0; time < 20; time += 1) {
      const result = await run('curl', ['-sS', version, '--max-time', '10', '--cacert', server.authority, `${server.origin}/large.bin`])
      assert.ok(result.bytes.equals(large), `${result.bytes.length} bytes ${result.stderr}`)
    }
  })

  over('parts of a file, held or streamed', async () => {
    const bytes = async (target, ...args) => {
      const result = await run('curl', ['-sS', version, '--max-time', '10', '--cacert', server.authority, ...args, server.origin + target])
      assert.equal(result.code, 0, result.stderr)
      return result.bytes
    }
    const held = Buffer.from(files['a.css'])
    for (const [target, whole] of [['/a.css', held], ['/large.bin', large]]) {
      assert.ok((await bytes(target, '-r', '0-9')).equals(whole.subarray(0, 10)))
      assert.ok((await bytes(target, '-r', '-5')).equals(whole.subarray(-5)))
      assert.ok((await bytes(target, '-r', '7-')).equals(whole.subarray(7)))
    }
    const part = await curl(version, '/large.bin', '-r', '5000000-5000009')
    assert.deepEqual([part.status, part.headers['content-range'], part.headers['content-length']], [206, 'bytes 5000000-5000009/6000000', '10'])
    const parts = await curl(version, '/large.bin', '-r', '0-9,5000000-5000009')
    assert.equal(parts.status, 206)
    assert.match(parts.headers['content-type'], /^multipart\/byteranges; boundary=/)
    assert.equal(parts.body.match(/Content-Range: bytes /g).length, 2)
    const none = await curl(version, '/a.css', '-r', '1000-')
    assert.deepEqual([none.status, none.headers['content-range']], [416, `bytes */${held.length}`])
    const invalid = await curl(version, '/a.css', '-H', 'Range: bytes=9-2')
    assert.deepEqual([invalid.status, invalid.body], [200, files['a.css']])
    const changed = await curl(version, '/a.css', '-r', '0-1', '-H', 'If-Range: "other"')
    assert.deepEqual([changed.status, changed.body], [200, files['a.css']])
    const lost = await curl(version, '/a.css', '-H', 'If-Match: "other"')
    assert.equal(lost.status, 412)
  })

  over('a file in each encoding that curl decodes', async () => {
    const plain = await curl(version, '/long.css')
    assert.equal(plain.headers.vary, 'Accept-Encoding')
    const tags = new Set([plain.headers.etag])
    for (const coding of ['gzip', 'br', 'zstd']) {
      const args = ['--compressed', '-H', `Accept-Encoding: ${coding}`]
      let encoded = await curl(version, '/long.css', ...args)
      // Who asks first is not kept waiting.
      const patience = Date.now() + 10_000
      while (encoded.headers['content-encoding'] === undefined && Date.now() < patience) encoded = await curl(version, '/long.css', ...args)
      assert.equal(encoded.headers['content-encoding'], coding)
      assert.equal(encoded.body, files['long.css'])
      assert.ok(Number(encoded.headers['content-length']) < files['long.css'].length / 2)
      assert.equal(encoded.headers.vary, 'Accept-Encoding')
      tags.add(encoded.headers.etag)
      const same = await curl(version, '/long.css', ...args, '-H', `If-None-Match: ${encoded.headers.etag}`)
      assert.equal(same.status, 304)
    }
    assert.equal(tags.size, 4)
    const sidecar = await curl(version, '/built.js', '-H', 'Accept-Encoding: br')
    assert.deepEqual([sidecar.headers['content-encoding'], sidecar.body], ['br', 'built beforehand'])
    const refused = await curl(version, '/long.css', '-H', 'Accept-Encoding: identity;q=0')
    assert.equal(refused.status, 406)
  })

  over('TLS 1.2 as well as 1.3, and nothing older', async () => {
    for (const [tls, served] of [['1.1', false], ['1.2', true], ['1.3', true]]) {
      const only = ['--tlsv1.0', `--tls-max`, tls, '--ciphers', 'DEFAULT@SECLEVEL=0']
      const args = served ? [`--tlsv${tls}`, '--tls-max', tls] : only
      const { code } = await run('curl', ['-sS', version, ...args, '--cacert', server.authority, `${server.origin}/a.css`])
      assert.equal(code === 0, served, `TLS ${tls}`)
    }
  })

  over('the same over IPv6', async () => {
    const { status } = await curl(version, `https://[::1]:${server.port}/a.css`)
    assert.equal(status, 200)
  })

  over('421 for a name that the certificate does not cover', async () => {
    const { status } = await curl(version, '/a.css', '-H', 'Host: elsewhere.example')
    assert.equal(status, 421)
  })
}

test('curl over HTTP/1.1: Link in the answer, and neither promise nor 103', { skip, timeout: 60_000 }, async () => {
  const { heads, headers } = await curl('--http1.1', '/')
  assert.equal(heads.length, 1)
  assert.equal(headers.link, '</deep.css>; rel=preload; as=style', 'what the head does not show')
})

test('a site with its own 404.html', { skip, timeout: 60_000 }, async () => {
  const root = writeSite({ 'index.html': page, '404.html': '<!doctype html><title>lost</title>' })
  await withServer(root, [], async (other) => {
    const result = await run('curl', ['-sSi', '--cacert', other.authority, `${other.origin}/nothing`])
    assert.match(result.stdout, /^HTTP\/2 404/)
    assert.match(result.stdout, /<title>lost/)
  })
})

// `forerun measure` as its user meets it: the same bytes twice, servers that misbehave, Ctrl-C.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, truncateSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import path from 'node:path'
import { before, test } from 'node:test'
import { binary, environment, forerun, withServer } from './lib/forerun.mjs'
import { scratch, within, writeSite } from './lib/tools.mjs'

const options = { timeout: 120_000 }
const site = () =>
  writeSite({
    'index.html': '<!doctype html><title>t</title><link rel=stylesheet href=/a.css><script src=/gone.js></script><p>hello<img src=/gone.png><img src=/b.png>',
    'a.css': '@import "/c.css";' + 'p { color: green }\n'.repeat(900),
    'b.png': Buffer.alloc(20_000, 1),
    'c.css': 'b { color: red }',
    'two/index.html': '<!doctype html><title>two</title><link rel=stylesheet href=/a.css><p>two',
  })

/** Ends with a sentence on standard error, and exit code 1. */
async function fails(args, pattern, more = {}) {
  const { code, stderr } = await forerun(['measure', ...args], more)
  assert.equal(code, 1, `${args.join(' ')}: ${stderr}`)
  assert.match(stderr, pattern)
  assert.equal(stderr.trim().split('\n').length, 1, stderr)
}

test('measure: two runs print the same bytes, however busy the machine', options, async () => {
  const root = site()
  const busy = Array.from({ length: 4 }, () => spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }))
  try {
    for (const args of [
      ['--visit', 'first', '--visit', 'repeat', '--visit', 'changed'],
      ['--page', '/', '--delivery', 'push', '--link', 'rtt=80ms,down=5M,up=1M,loss=2%'],
      ['--client', 'current', '--think', '200ms', '--link', 'slow-4g', '--link', 'cable'],
    ]) {
      for (const form of [[], ['--json']]) {
        const once = () => forerun(['measure', root, ...args, ...form], { deadline_ms: 60_000 })
        const [one, other] = await Promise.all([once(), once()])
        assert.deepEqual([one.code, one.stderr], [0, ''])
        assert.ok(one.bytes.equals(other.bytes), `${args.join(' ')} ${form}`)
        assert.ok(one.stdout.length > 500, one.stdout)
      }
    }
  } finally {
    for (const each of busy) each.kill('SIGKILL')
  }
})

test('measure: Ctrl-C prints what there is', options, async () => {
  const { code, stdout } = await interrupted(['measure', site(), '--page', '/', '--repeat', '1000000'], 1500)
  assert.equal(code, 0)
  assert.match(stdout, /stopped before its end/)
  assert.match(stdout, /none/)
})

test('measure: what cannot be is one sentence', options, async () => {
  const root = site()
  const closed = await new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
  const report = path.join(root, 'no/such/report.html')
  await fails([scratch('empty')], /there is no HTML page in/)
  await fails([path.join(root, 'absent')], /there is no directory/)
  await fails([root, '--page', '/three/'], /is no page of .* such as \//)
  await fails([root, '--html', report], /cannot write .*report\.html/)
  await fails([root, '--delivery', 'psh'], /none, link, hints, push, push-all or a push\.toml/)
  await fails(['http://localhost/'], /https:\/\//)
  await fails([`https://localhost:${closed}/`], /refused/)
  await fails(['https://no-such-host.invalid/'], /no-such-host\.invalid.*lookup|resolve/)
  assert.ok(!existsSync(report))
})

test('measure: a page of 100 MB is given up within its limit', options, async () => {
  const root = writeSite({ 'index.html': '<!doctype html><p>large' })
  truncateSync(path.join(root, 'index.html'), 100_000_000)
  const { code, stderr } = await forerun(['measure', root, '--delivery', 'none', '--link', 'rtt=1ms'], { deadline_ms: 60_000 })
  assert.equal(code, 1)
  assert.match(stderr, /larger than 64 MB: cancelled/)
})

test('measure: our own server, over the real network', options, async () => {
  await withServer(site(), [], async (server) => {
    await fails([`${server.origin}/`], /UnknownIssuer.*--authority/)
    const args = ['--authority', server.authority, '--json']
    const { code, stdout, stderr } = await forerun(['measure', `${server.origin}/`, ...args], { deadline_ms: 60_000 })
    assert.equal(code, 0, stderr)
    const [cell] = JSON.parse(stdout).cells
    assert.deepEqual(cell.deliveries.map((row) => row.delivery), ['none', 'hints', 'push'])
    assert.ok(cell.deliveries[2].timeline.exchanges.some((exchange) => exchange.way === 'pushed'))
    const absent = await forerun(['measure', `${server.origin}/absent`, ...args], { deadline_ms: 60_000 })
    assert.match(JSON.parse(absent.stdout).notes.join(), /\/absent is answered 404/)
  })
})

// What a server mints for itself serves those of Node as well.
let minted
const keys = () => ({ key: readFileSync(path.join(minted, 'leaf.key')), cert: readFileSync(path.join(minted, 'leaf.pem')) })
before(() => withServer(site(), [], (server) => (minted = path.dirname(server.authority))))
const trusted = () => ['--authority', path.join(minted, 'authority.pem')]

/** Measures what a server of Node's does, and expects this sentence. */
async function misbehaves(server, pattern, args = []) {
  const sockets = new Set()
  for (const event of ['connection', 'secureConnection']) server.on(event, (socket) => sockets.add(socket))
  server.on('sessionError', () => {}).on('error', () => {}).on('tlsClientError', () => {})
  await new Promise((resolve) => server.listen(0, 'localhost', resolve))
  try {
    await fails([`https://localhost:${server.address().port}/`, ...trusted(), ...args], pattern, { deadline_ms: 60_000 })
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

const scripted = (answer) => http2.createSecureServer(keys()).on('stream', (stream, headers) => {
  stream.on('error', () => {})
  answer(stream, headers[':path'])
})

const servers = {
  'HTTP/1.1 over TLS': [() => https.createServer(keys(), (_, response) => response.end('x')), /HTTP\/2/],
  'HTTP without TLS': [() => http.createServer((_, response) => response.end('x')), /TLS/],
  'a port that closes at once': [() => net.createServer((socket) => socket.destroy()), /cannot measure/],
  'a server that resets': [() => scripted((stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR)), /reset the stream/],
  'a server that hangs up': [() => scripted((stream) => stream.session.destroy()), /connection/],
  'a redirect loop': [() => scripted((stream, target) => stream.respond({ ':status': 302, location: target === '/' ? '/a' : '/' }, { endStream: true })), /loop without end/],
  'redirects without end': [() => scripted((stream, target) => stream.respond({ ':status': 302, location: `${target}a` }, { endStream: true })), /redirected more than 20 times/],
  'a redirect elsewhere': [() => scripted((stream) => stream.respond({ ':status': 302, location: 'https://elsewhere.invalid/' }, { endStream: true })), /another origin/],
}
for (const [name, [server, pattern]] of Object.entries(servers)) {
  test(`measure: ${name} is told`, options, async () => misbehaves(server(), pattern))
}

test('measure: a page that never ends is given up', options, async () => {
  const endless = (stream) => {
    stream.respond({ 'content-type': 'text/html' })
    const timer = setInterval(() => stream.write('<p>more'), 20)
    stream.on('close', () => clearInterval(timer))
  }
  await misbehaves(scripted(endless), /had not loaded after 0\.2 s/, ['--timeout', '200ms'])
})

test('measure: Ctrl-C ends a load that would last', options, async () => {
  const server = scripted((stream) => stream.respond({ 'content-type': 'text/html' }))
  server.on('sessionError', () => {})
  await new Promise((resolve) => server.listen(0, 'localhost', resolve))
  const args = ['measure', `https://localhost:${server.address().port}/`, ...trusted()]
  const { code, stderr } = await interrupted(args, 1000)
  server.close()
  assert.equal(code, 1)
  assert.match(stderr, /stopped before anything was measured/)
})

/** Runs the binary, and interrupts it after some time: it must end soon after. */
async function interrupted(args, after_ms) {
  const home = scratch('home')
  const child = spawn(binary, args, { cwd: home, env: environment(home), stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (bytes) => (stdout += bytes))
  child.stderr.on('data', (bytes) => (stderr += bytes))
  const ended = new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
  const timer = setTimeout(() => child.kill('SIGINT'), after_ms)
  try {
    return await within(after_ms + 15_000, 'the end after Ctrl-C', ended)
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}

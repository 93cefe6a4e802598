// What operators meet: settings, JSON lines, metrics, systemd's protocol.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { binary, environment, forerun, Server, withServer } from './lib/forerun.mjs'
import { missing, run, scratch, within, writeSite } from './lib/tools.mjs'

const site = { 'index.html': '<!doctype html><title>t</title><link rel=stylesheet href=/a.css>', 'a.css': 'p { color: red }' }

/** Asks an operator's address. */
async function ask(address, target, headers = {}) {
  const answer = await fetch(`http://${address}${target}`, { headers })
  return { status: answer.status, text: await answer.text() }
}

async function adminOf(server) {
  const [, address] = await server.said(/http:\/\/([\d.]+:\d+)\/metrics/)
  return address
}

test('the file, the environment and the command line set the same, in this order', { timeout: 60_000 }, async () => {
  const home = scratch('home')
  const root = writeSite(site)
  writeFileSync(path.join(home, 'forerun.toml'), `site = ${JSON.stringify(root)}\nport = "x"\n`)
  const wrong = await forerun(['serve'], { home })
  assert.match(wrong.stderr, /forerun\.toml:2: `port = "x"`: expected a whole number/)
  writeFileSync(path.join(home, 'forerun.toml'), `site = ${JSON.stringify(root)}\nport = 0\nlog = "json"\nadmin = 1\n`)
  const env = { ...environment(home), FORERUN_ADMIN: '127.0.0.1:0' }
  const child = spawn(binary, [], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const started = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes) => {
        output += bytes
        if (/https:\/\//.test(output) && /\/metrics/.test(output)) resolve()
      })
    }
  })
  await within(20_000, 'the start', started)
  assert.match(output, new RegExp(`serves ${root}`))
  child.kill('SIGTERM')
  await new Promise((done) => child.on('close', done))
})

test('the log is JSON, and metrics count what it tells', { timeout: 60_000, skip: missing('nghttp') }, async () => {
  const args = ['--log', 'json', '--admin', '0']
  const server = await Server.start(writeSite(site), args)
  try {
    const address = await adminOf(server)
    assert.deepEqual(await ask(address, '/healthz'), { status: 200, text: 'ok\n' })
    assert.equal((await ask(address, '/')).status, 404)
    assert.equal((await run('nghttp', ['-n', `${server.origin}/`, `${server.origin}/none`])).code, 0)
    const { text } = await ask(address, '/metrics')
    const value = (line) => Number(text.match(new RegExp(`^${line.replaceAll(/[{}]/g, '\\$&')} (\\d+)$`, 'm'))?.[1])
    assert.equal(value('forerun_requests_total{protocol="h2",status="200"}'), 1)
    assert.equal(value('forerun_requests_total{protocol="h2",status="404"}'), 1)
    assert.equal(value('forerun_promises_total'), 1)
    assert.equal(value('forerun_promises_delivered_total'), 1)
    assert.equal(value('forerun_connections_total'), 1)
    assert.ok(value('forerun_body_bytes_total{protocol="h2"}') > 70)
  } finally {
    await server.stop()
  }
  const lines = server.output.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
  const page = lines.find((line) => line.target === '/')
  assert.deepEqual([page.status, page.method, page.pushed, page.promised], [200, 'GET', false, ['/a.css']])
  assert.equal(lines.find((line) => line.target === '/a.css').pushed, true)
  assert.ok(lines.every((line) => Math.abs(Date.parse(line.time) - Date.now()) < 60_000))
})

test('a server that drains says so to the end', { timeout: 60_000 }, async () => {
  const large = { ...site, 'large.bin': Buffer.alloc(8 << 20, 1) }
  const server = await Server.start(writeSite(large), ['--admin', '0'])
  const address = await adminOf(server)
  assert.equal((await ask(address, '/healthz')).status, 200)
  // An answer that nobody reads keeps it.
  const client = http2.connect(server.origin, { ca: readFileSync(server.authority) })
  const request = client.request({ ':path': '/large.bin' })
  await new Promise((done) => request.on('response', done))
  request.pause()
  server.child.kill('SIGTERM')
  const drained = (async () => {
    for (;;) {
      const health = await ask(address, '/healthz')
      if (health.status !== 200) return health
    }
  })()
  assert.deepEqual(await within(5_000, 'the drain', drained), { status: 503, text: 'draining\n' })
  assert.equal((await ask(address, '/metrics')).status, 200)
  request.resume()
  await new Promise((done) => request.on('close', done))
  client.close()
  assert.deepEqual(await within(15_000, 'the end', server.ended), { code: 0, signal: null })
})

for (const [flag, said, most] of [
  ['--http-port', /port (\d+) sends to https/, 32],
  ['--admin', /:(\d+)\/metrics/, 8],
]) test(`${flag}: an address has so many connections, and then no more`, { timeout: 60_000 }, async () => {
  const server = await Server.start(writeSite(site), [flag, '0'])
  try {
    const [, port] = await server.said(said)
    const sockets = []
    for (let index = 0; index <= most; index += 1) {
      const socket = net.connect(Number(port), '127.0.0.1').resume()
      socket.on('error', () => {})
      socket.gone = new Promise((done) => socket.on('close', done))
      await new Promise((done) => socket.on('connect', done))
      sockets.push(socket)
    }
    await within(5_000, 'the end of the last', sockets.at(-1).gone)
    assert.ok(sockets.slice(0, most).every((socket) => !socket.destroyed))
    for (const socket of sockets) socket.destroy()
  } finally {
    await server.stop()
  }
})

const haveSystemd = missing('systemd-socket-activate', 'curl')

test('a socket that is handed over is served', { timeout: 60_000, skip: haveSystemd }, async () => {
  const home = scratch('home')
  const root = writeSite(site)
  const free = net.createServer()
  const port = await new Promise((resolve) => free.listen(0, '127.0.0.1', () => resolve(free.address().port)))
  await new Promise((done) => free.close(done))
  const words = ['-l', `127.0.0.1:${port}`, '-E', `HOME=${home}`, '-E', `XDG_DATA_HOME=${home}/data`, binary, 'serve', root]
  const child = spawn('systemd-socket-activate', words, { cwd: home, env: environment(home), stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes))
  try {
    await within(10_000, 'the socket', (async () => {
      while (!/Listening/.test(output)) await new Promise((done) => child.stderr.once('data', done))
    })())
    const { stdout, code } = await run('curl', ['-sk', '--retry', '3', '--retry-all-errors', `https://localhost:${port}/a.css`])
    assert.equal(code, 0, output)
    assert.equal(stdout, site['a.css'])
  } finally {
    child.kill('SIGTERM')
    await new Promise((done) => child.on('close', done))
  }
})

test('completions and the manual are printed', { timeout: 60_000 }, async () => {
  for (const args of [['completions', 'bash'], ['completions', 'zsh'], ['man'], ['man', 'dev'], ['limits']]) {
    const { code, stdout, stderr } = await forerun(args)
    assert.equal(code, 0, stderr)
    assert.ok(stdout.length > 500, `${args}: ${stdout}`)
  }
})

test('a monitor that comes by another name is refused', { timeout: 60_000 }, async () => {
  await withServer(writeSite(site), ['--admin', '0'], async (server) => {
    const address = await adminOf(server)
    const [host, port] = address.split(':')
    const said = await new Promise((resolve) => {
      const socket = net.connect(Number(port), host, () => socket.write('GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n'))
      let text = ''
      socket.on('data', (bytes) => (text += bytes))
      socket.on('close', () => resolve(text))
    })
    assert.match(said, /^HTTP\/1\.1 421 /)
  })
})

// The program as its user meets it: start, port, end.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { binary, environment, forerun, Server, withDev, withServer } from './lib/forerun.mjs'
import { scratch, within, writeSite } from './lib/tools.mjs'

const options = { timeout: 60_000 }
const site = () => writeSite({ 'index.html': '<!doctype html><title>t</title><p>hello</p>' })

test('start: a few lines that a person reads, and keys that only the owner reads', options, async () => {
  await withServer(site(), [], async (server) => {
    const lines = server.output.trim().split('\n')
    assert.ok(lines.length <= 8, server.output)
    assert.equal(server.output.match(/https:\/\/localhost:\d+\//g).length, 1, 'one URL')
    const directory = path.dirname(server.authority)
    for (const key of ['authority.key', 'leaf.key']) {
      assert.equal(statSync(path.join(directory, key)).mode & 0o077, 0, key)
    }
  })
})

test('start: a second instance notices that the port is taken', options, async () => {
  await withServer(site(), [], async (first) => {
    const strict = await forerun(['serve', site(), '--port', String(first.port), '--strict-port'])
    assert.notEqual(strict.code, 0)
    assert.match(strict.stderr, new RegExp(String(first.port)))
    assert.equal(strict.stderr.trim().split('\n').length, 1, strict.stderr)
    const second = await Server.start(site(), ['--port', String(first.port)])
    assert.notEqual(second.port, first.port)
    await second.stop()
  })
})

test('start: a port that another flag names is taken, and the flag is named', options, async () => {
  await withServer(site(), [], async (first) => {
    for (const flag of ['--http-port', '--admin']) {
      const second = await forerun(['serve', site(), '--port', '0', flag, String(first.port)])
      assert.notEqual(second.code, 0)
      assert.equal(second.stderr.trim(), `forerun: port ${first.port} is taken: stop what listens there, or change ${flag}`)
    }
  })
})

test('start: only this machine can connect, unless told', options, async (t) => {
  const addresses = Object.values(os.networkInterfaces()).flat()
  const other = addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address
  if (!other) return t.skip('this machine has no address but its own')
  const reach = (port) =>
    new Promise((resolve) => {
      const socket = net.connect(port, other)
      socket.on('connect', () => resolve('connected')).on('error', (error) => resolve(error.code))
      socket.on('connect', () => socket.destroy())
    })
  await withServer(site(), [], async (server) => {
    assert.equal(await reach(server.port), 'ECONNREFUSED')
  })
  await withServer(site(), ['--host', other], async (server) => {
    assert.equal(await reach(server.port), 'connected')
  })
})

test('start: the same authority the next time', options, async () => {
  const home = scratch('home')
  const root = site()
  const first = await Server.start(root, [], home)
  await first.stop()
  const modified = statSync(first.authority).mtimeMs
  const second = await Server.start(root, [], home)
  await second.stop('SIGINT')
  assert.equal(statSync(second.authority).mtimeMs, modified)
})

test('start: a site that is not there is one clear error', options, async () => {
  const { code, stderr, stdout } = await forerun(['serve', 'no-such-directory', '--port', '0'])
  assert.notEqual(code, 0)
  assert.equal(stdout, '')
  assert.match(stderr, /no-such-directory/)
})

test('start: a site that a build makes is served once it is made', options, async () => {
  const root = path.join(scratch('site'), 'public')
  const build = `echo building; mkdir ${root}; echo '<!doctype html><title>made</title>' >${root}/index.html`
  await withDev(root, ['--run', build], (server) => {
    assert.match(server.output, /runs `.*\n.*building\n.*serves/)
    assert.ok(existsSync(path.join(root, 'index.html')))
  })
})

test('start: a build that fails leaves the site as it is, or says that there is none', options, async () => {
  await withDev(site(), ['--run', 'echo oh; exit 3'], (server) => server.said(/oh\n[^]*serves[^]*`echo oh; exit 3` failed with status 3/))
  const { code, stderr } = await forerun(['dev', 'no-such-directory', '--port', '0', '--run', 'exit 3'])
  assert.notEqual(code, 0)
  assert.match(stderr, /`exit 3` failed with status 3.*no-such-directory/)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  test(`start: ${signal} during the first build ends both`, options, async () => {
    const directory = scratch('build')
    // All processes hold the last pipe, and `close` waits until nobody does.
    const child = spawn(binary, ['dev', site(), '--port', '0', '--run', 'sleep 1000 & echo begun; wait'], {
      cwd: directory,
      env: environment(directory),
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    })
    child.stdio[3].resume()
    const ended = once(child, 'close')
    let output = ''
    for await (const bytes of child.stdout) {
      output += bytes
      if (output.includes('| begun\n')) child.kill(signal)
    }
    assert.deepEqual(await within(15_000, 'its end', ended), [0, null])
    assert.doesNotMatch(output, /serves/)
  })
}

test('certificate: names the authority and how to trust it, and installs nothing', options, async () => {
  const home = scratch('home')
  const { code, stdout, stderr } = await forerun(['certificate'], { home })
  assert.equal(code, 0, stderr)
  assert.match(stdout, /authority\.pem/)
  assert.match(stdout, /certutil/)
  assert.ok(!existsSync(path.join(home, '.pki')))
})

// Certificates that others made: read in each format, told apart when wrong, reloaded when new.

import assert from 'node:assert/strict'
import { copyFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { before, test } from 'node:test'
import tls from 'node:tls'
import { forerun, withServer } from './lib/forerun.mjs'
import { withPeer } from './lib/peer.mjs'
import { missing, run, scratch, writeSite } from './lib/tools.mjs'

const skip = missing('openssl', 'curl')
const options = { skip, timeout: 60_000 }
const site = () => writeSite({ 'index.html': '<!doctype html><title>t</title><p>hello</p>' })

const directory = scratch('certificates')
const at = (name) => path.join(directory, name)

async function openssl(...args) {
  const { code, stderr } = await run('openssl', args, { cwd: directory })
  assert.equal(code, 0, `openssl ${args.join(' ')}: ${stderr}`)
}

/** Makes `name.pem` (self-signed, so it is its own authority) for the key in `name.key`. */
const certify = (name, ...more) =>
  openssl('req', '-x509', '-new', '-key', `${name}.key`, '-out', `${name}.pem`, '-days', '30', '-subj', `/CN=${name}`,
    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', ...more)

before(async () => {
  if (skip) return
  await openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', 'pkcs8.key')
  await openssl('rsa', '-traditional', '-in', 'pkcs8.key', '-out', 'pkcs1.key')
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'sec1.key')
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-out', 'sec1-with-parameters.key')
  for (const name of ['pkcs8', 'pkcs1', 'sec1', 'sec1-with-parameters']) await certify(name)
})

for (const name of ['pkcs8', 'pkcs1', 'sec1', 'sec1-with-parameters']) {
  test(`certificate: a key as ${name} is read, and curl trusts its certificate`, options, async () => {
    await withServer(site(), ['--certificate', at(`${name}.pem`), '--key', at(`${name}.key`)], async (server) => {
      const { code, stdout, stderr } = await run('curl', ['-sS', '--cacert', at(`${name}.pem`), `${server.origin}/`])
      assert.deepEqual([code, stderr], [0, ''])
      assert.match(stdout, /hello/)
    })
  })
}

test('certificate: what cannot work is one error that names the file', options, async () => {
  writeFileSync(at('empty.pem'), '')
  await openssl('x509', '-in', 'sec1.pem', '-outform', 'DER', '-out', 'der.pem')
  await openssl('ec', '-aes256', '-passout', 'pass:secret', '-in', 'sec1.key', '-out', 'encrypted.key')
  for (const [certificate, key, named] of [
    ['sec1.pem', 'pkcs1.key', /sec1\.pem|pkcs1\.key/],
    ['empty.pem', 'sec1.key', /empty\.pem/],
    ['sec1.pem', 'empty.pem', /empty\.pem/],
    ['sec1.key', 'sec1.key', /sec1\.key/],
    ['sec1.pem', 'sec1.pem', /sec1\.pem/],
    ['der.pem', 'sec1.key', /der\.pem/],
    ['sec1.pem', 'encrypted.key', /encrypted\.key/],
    ['absent.pem', 'sec1.key', /absent\.pem/],
  ]) {
    const { code, stdout, stderr } = await forerun(['serve', site(), '--port', '0', '--certificate', at(certificate), '--key', at(key)])
    assert.notEqual(code, 0, `${certificate} with ${key}`)
    assert.equal(stdout, '', `${certificate} with ${key}`)
    assert.match(stderr, named, `${certificate} with ${key}`)
  }
})

test('certificate: a new one is served at SIGHUP, a bad one is not, and no connection is dropped', options, async () => {
  const [certificate, key] = [at('served.pem'), at('served.key')]
  const serve = (name) => {
    copyFileSync(at(`${name}.pem`), certificate)
    copyFileSync(at(`${name}.key`), key)
  }
  serve('sec1')
  await withServer(site(), ['--certificate', certificate, '--key', key], async (server) => {
    server.authority = at('sec1.pem')
    await withPeer(server, async (peer) => {
      assert.equal(await subject(server), 'sec1')
      serve('pkcs8')
      server.child.kill('SIGHUP')
      await until(async () => (await subject(server)) === 'pkcs8', 'the new certificate')
      writeFileSync(certificate, 'not a certificate')
      server.child.kill('SIGHUP')
      await until(() => /served\.pem.*stays in force/.test(server.output), 'what is said of the bad one')
      assert.equal(await subject(server), 'pkcs8')
      assert.equal((await peer.ask('/')).status, 200, 'the connection from before')
    })
  })
})

/** The common name of the certificate that is served now. */
function subject(server) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port: server.port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    socket.on('error', reject)
    socket.on('secureConnect', () => {
      resolve(socket.getPeerCertificate().subject.CN)
      socket.destroy()
    })
  })
}

async function until(holds, what) {
  const deadline = Date.now() + 10_000
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `${what}: not in time`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

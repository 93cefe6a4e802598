// The servers that are compared, as like each other as they can be set: one worker, TLS 1.3, one
// certificate, no log, files of one directory, nothing but loopback.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { binary, environment } from '../../outside/lib/forerun.mjs'
import { checkout, missing, run, scratch } from '../../outside/lib/tools.mjs'

const STREAMS = 256
const STOP_MS = 5_000

/** What Debian's packages `nginx h2o nghttp2-server nghttp2-client openssl util-linux` have. */
export const programs = ['nginx', 'h2o', 'nghttpd', 'h2load', 'openssl', 'taskset']

/** Returns the command that runs another on some cores, as `taskset` names them. */
export function on(cores, command) {
  return [...(process.env.REAL_TIME ? ['chrt', '-f', '10'] : []), 'taskset', '-c', cores, ...command]
}

/** Returns what is not installed of that, or `false`. */
export const lacking = () => missing(...programs)

/** Makes a P-256 certificate for localhost, as all of them are given. */
export async function identity() {
  const home = scratch('identity')
  const [certificate, key] = ['certificate.pem', 'key.pem'].map((name) => path.join(home, name))
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const { code, stderr } = await run('openssl', ['req', '-x509', ...curve, '-days', '30', ...names, '-keyout', key, '-out', certificate])
  if (code !== 0) throw new Error(stderr)
  return { certificate, key }
}

/** Of each server, the command that serves `site` on `port`, with files of its own in `home`. */
const commands = {
  nginx({ site, port, home, identity }) {
    const directories = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${home}/${name};`)
    writeFileSync(`${home}/nginx.conf`, `
      user root; worker_processes 1; daemon off; pid ${home}/pid; error_log ${home}/errors;
      events { worker_connections 8192; }
      http {
        types { text/html html; application/javascript js; text/plain txt; }
        default_type application/octet-stream;
        ${directories.join(' ')}
        access_log off; sendfile on; tcp_nopush on; keepalive_timeout 300s; keepalive_requests 1000000000;
        open_file_cache max=1000 inactive=300s; open_file_cache_valid 60s;
        server {
          listen 127.0.0.1:${port} ssl http2 backlog=4096; server_name localhost; root ${site};
          ssl_certificate ${identity.certificate}; ssl_certificate_key ${identity.key}; ssl_protocols TLSv1.3;
          http2_max_concurrent_streams ${STREAMS};
        }
      }`)
    return ['nginx', '-e', `${home}/errors`, '-p', home, '-c', `${home}/nginx.conf`]
  },
  h2o({ site, port, home, identity }) {
    const tls = `{certificate-file: ${identity.certificate}, key-file: ${identity.key}, minimum-version: TLSv1.2}`
    writeFileSync(`${home}/h2o.conf`, [
      'num-threads: 1',
      'user: root',
      `pid-file: ${home}/pid`,
      `error-log: ${home}/errors`,
      'max-connections: 8192',
      'http2-idle-timeout: 300',
      `http2-max-concurrent-requests-per-connection: ${STREAMS}`,
      `listen: {host: 127.0.0.1, port: ${port}, ssl: ${tls}}`,
      `hosts: {default: {paths: {/: {file.dir: ${site}}}}}`,
    ].join('\n'))
    return ['h2o', '-m', 'worker', '-c', `${home}/h2o.conf`]
  },
  nghttpd({ site, port, identity }) {
    return ['nghttpd', '-n', '1', '-a', '127.0.0.1', '-d', site, '-m', String(STREAMS), String(port), identity.key, identity.certificate]
  },
  forerun: (given) => served(binary, given),
}

/** What `pgo.mjs` has built is compared as well, if it is there. */
const pgo = path.join(checkout, 'target/pgo/forerun')
if (existsSync(pgo)) commands['forerun, PGO'] = (given) => served(pgo, given)

function served(program, { site, port, identity }) {
  const tls = ['--certificate', identity.certificate, '--key', identity.key]
  return [program, 'serve', site, '--port', String(port), '--strict-port', ...tls]
}

/** The names of the servers, ours last. */
export const names = Object.keys(commands)

/** Returns a port that nobody listens on. */
function freePort() {
  return new Promise((resolve, reject) => {
    const listener = net.createServer().on('error', reject)
    listener.listen(0, '127.0.0.1', () => {
      const { port } = listener.address()
      listener.close(() => resolve(port))
    })
  })
}

/** A server that runs on some cores, as `taskset` names them. */
export class Peer {
  /** Starts it; whoever needs to know when it answers asks it. */
  static async start(name, { site, identity, cores }) {
    const home = scratch('server')
    mkdirSync(path.join(home, 'data'))
    const port = await freePort()
    const [program, ...words] = on(cores, commands[name]({ site, port, home, identity }))
    const peer = new Peer()
    Object.assign(peer, { name, port, started_ms: performance.now() })
    peer.child = spawn(program, words, { cwd: home, env: environment(home), stdio: 'ignore' })
    peer.ended = new Promise((resolve) => peer.child.on('close', resolve))
    return peer
  }

  /** Ends it. */
  async stop() {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS)
    this.child.kill('SIGTERM')
    await this.ended
    clearTimeout(timer)
  }
}

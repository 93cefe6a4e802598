// Real browsers, each with a home of its own that trusts the authority the server minted.
//
// Errors of certificates are never ignored: Chromium fetches hinted files twice when they are.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createReadStream, createWriteStream, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress } from 'node:zlib'
import { cache, missing, scratch } from './tools.mjs'

const require = createRequire(import.meta.url)

/** The last Chromium but a few that takes pushes (2022). Unpatched since: loopback only. */
export const chromium103 = {
  name: 'Chromium 103',
  lacks: () => missing('certutil') || absent('@sparticuz/chromium/package.json'),
  driver: 'puppeteer-core-for-103',
  executable: unpackChromium103,
  flags: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-zygote'],
}

/** Debian's Chromium: no pushes, 103 Early Hints. */
export const chromium = {
  name: 'current Chromium',
  lacks: () => missing('certutil', 'chromium') || absent('puppeteer-core/package.json'),
  driver: 'puppeteer-core',
  executable: () => which('chromium'),
  flags: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
}

/** Debian's Firefox ESR: no pushes, 103 Early Hints. */
export const firefox = {
  name: 'Firefox ESR',
  lacks: () => missing('certutil', 'firefox-esr') || absent('puppeteer-core/package.json'),
  driver: 'puppeteer-core',
  executable: () => which('firefox-esr'),
  flags: [],
  isFirefox: true,
}

function absent(file) {
  try {
    require.resolve(file)
    return false
  } catch {
    return `npm package ${path.dirname(file)} is not installed`
  }
}

const which = (program) => `${execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program])}`.trim()

async function unpackChromium103() {
  const packed = path.join(path.dirname(require.resolve('@sparticuz/chromium/package.json')), 'bin/chromium.br')
  const executable = path.join(cache, 'chromium-103.0.0')
  if (!existsSync(executable)) {
    mkdirSync(cache, { recursive: true })
    const partial = `${executable}.${process.pid}`
    await pipeline(createReadStream(packed), createBrotliDecompress(), createWriteStream(partial, { mode: 0o755 }))
    renameSync(partial, executable)
  }
  return executable
}

function trust(store, authority) {
  if (existsSync(path.join(store, 'cert9.db'))) return
  mkdirSync(store, { recursive: true })
  const certutil = (...args) => execFileSync('certutil', ['-d', `sql:${store}`, ...args])
  certutil('-N', '--empty-password')
  certutil('-A', '-t', 'C,,', '-n', 'forerun', '-i', authority)
}

/**
 * Runs a browser while `use(browser)` runs. `netlog` names a file that is complete afterwards; the
 * same `home` given again is the same user coming back; `preferences` are Firefox's; `through` are
 * words before the command line (`nsenter ...`).
 */
export async function withBrowser(kind, server, { netlog, flags = [], preferences = {}, home = scratch('browser'), through }, use) {
  const profile = path.join(home, 'profile')
  mkdirSync(profile, { recursive: true })
  trust(kind.isFirefox ? profile : path.join(home, '.pki/nssdb'), server.authority)
  const log = netlog ? [`--log-net-log=${netlog}`, '--net-log-capture-mode=Everything'] : []
  const driver = (await import(kind.driver)).default
  const browser = await driver.launch({
    ...(kind.isFirefox ? { browser: 'firefox', extraPrefsFirefox: preferences } : {}),
    executablePath: through ? wrapped(through, await kind.executable(), home) : await kind.executable(),
    // A browser in another network cannot be reached by a socket.
    ...(through ? { pipe: true } : {}),
    headless: true,
    userDataDir: profile,
    env: { ...process.env, HOME: home },
    args: [...kind.flags, ...log, ...flags],
  })
  try {
    return await use(browser)
  } finally {
    await browser.close()
  }
}

function wrapped(through, executable, home) {
  const script = path.join(home, 'browser')
  const words = [...through, executable].map((word) => `'${word.replaceAll("'", "'\\''")}'`)
  writeFileSync(script, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 })
  return script
}

/** When a page of the built-in site is settled: those below /after/ listen for as long as they are open. */
export const settledOf = (target) => (target.startsWith('/after/') ? 'load' : 'networkidle0')

/**
 * Opens a page in a context of its own (no cache, no connections yet) and waits until its network
 * is idle, or as `settled` says. Returns the page, what it complained of, and every URL it fetched, in order.
 */
export async function visit(browser, url, settled) {
  const context = await (browser.createBrowserContext ?? browser.createIncognitoBrowserContext).call(browser)
  return { context, ...(await open(context, url, settled)) }
}

/** The same in the context of the user, whose cache outlives the browser. */
export async function open(context, url, settled = 'networkidle0') {
  const page = await context.newPage()
  const seen = { page, complaints: [], fetched: [] }
  page.on('console', (message) => {
    if (message.type() === 'error') seen.complaints.push(`${message.text()} ${message.location()?.url ?? ''}`)
  })
  page.on('pageerror', (error) => seen.complaints.push(error.message))
  page.on('requestfailed', (request) => seen.complaints.push(`${request.url()}: ${request.failure()?.errorText}`))
  page.on('request', (request) => seen.fetched.push(request.url()))
  page.on('load', () => (seen.fetchedBeforeLoad = seen.fetched.length))
  await page.goto(url, { waitUntil: settled, timeout: 30_000 })
  return seen
}

/** The events of a Chromium's netlog: `[{ name, time_ms, session, params }]`. */
export function eventsOf(netlog) {
  const text = readFileSync(netlog, 'utf8')
  let log
  try {
    log = JSON.parse(text)
  } catch {
    log = JSON.parse(`${text.trimEnd().replace(/,$/, '')}]}`)
  }
  const names = new Map(Object.entries(log.constants.logEventTypes).map(([name, number]) => [number, name]))
  return log.events.map(({ type, time, source, params }) =>
    ({ name: names.get(type), time_ms: Number(time), session: source.id, params }))
}

/** A field of the headers that an event tells of. */
export const fieldOf = ({ params }, name) =>
  params.headers.find((header) => header.startsWith(`${name}: `))?.slice(name.length + 2)

/** What a Chromium's netlog says of pushes: `[{ url, session, stream, adopted }]`. */
export function pushesOf(netlog) {
  const pushes = []
  for (const event of eventsOf(netlog)) {
    const { name, session, params } = event
    if (name === 'HTTP2_SESSION_RECV_PUSH_PROMISE') {
      const url = `${fieldOf(event, ':scheme')}://${fieldOf(event, ':authority')}${fieldOf(event, ':path')}`
      pushes.push({ url, session, stream: params.promised_stream_id, adopted: false })
    } else if (name === 'HTTP2_STREAM_ADOPTED_PUSH_STREAM') {
      const push = pushes.find((it) => it.stream === params.stream_id && it.url === params.url && !it.adopted)
      if (push) push.adopted = true
    }
  }
  return pushes
}

/** Nobody asked for what was pushed to them. Call it when the server has ended: its log is whole then. */
export function assertNotAskedFor(server, pushes) {
  const asked = server.gets()
  const twice = pushes.map((push) => push.url.slice(server.origin.length)).filter((target) => asked.has(target))
  assert.deepEqual(twice, [], 'pushed and asked for as well')
}

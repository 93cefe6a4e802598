// The real half: Chromium 103 and the release binary at the two ends of an emulated link.

import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { chromium103, withBrowser } from '../../outside/lib/browser.mjs'
import { Server } from '../../outside/lib/forerun.mjs'
import { scratch } from '../../outside/lib/tools.mjs'

const LOAD_MS = 120_000
const PAINT_MS = 10_000
// What a server reads of a page while it answers the first request, it knows for the second.
const WARM_UPS = 2

/** What is compared, and how the server is told to. */
export const DELIVERIES = ['none', 'push']

const require = createRequire(new URL('../../outside/package.json', import.meta.url))
const debian = '/usr/share/doc/python3/html'
const npm = (name) => {
  try {
    return path.dirname(require.resolve(`${name}/package.json`))
  } catch {
    return undefined
  }
}

/** Sites that nobody made for this, the pages in the order in which fewer than ten are taken. */
export const SITES = {
  python: {
    root: existsSync(`${debian}/contents.html`) ? realpathSync(debian) : undefined,
    from: 'Debian package python3-doc',
    // Its jquery.js and underscore.js are symlinks to other packages.
    args: ['--follow-symlinks'],
  },
  agency: { root: npm('startbootstrap-agency'), from: 'npm package startbootstrap-agency', args: [] },
  admin: { root: npm('startbootstrap-sb-admin-2'), from: 'npm package startbootstrap-sb-admin-2', args: [] },
}
export const PAGES = [
  ['python', '/index.html'],
  ['admin', '/login.html'],
  ['agency', '/index.html'],
  ['python', '/library/os.html'],
  ['admin', '/charts.html'],
  ['python', '/tutorial/classes.html'],
  ['admin', '/index.html'],
  ['python', '/library/asyncio.html'],
  ['admin', '/404.html'],
  ['python', '/genindex-A.html'],
].map(([site, target]) => ({ site, target }))

/** Returns why there can be no real loads here, link aside, or `false`. */
export function lacksReal() {
  const absent = Object.values(SITES).find((site) => !site.root)
  return absent ? `${absent.from} is not installed` : chromium103.lacks()
}

/**
 * Loads every page over every link with each delivery, `runs` times and interleaved (ABBA), each time
 * with an empty cache and a new connection. Returns a cell for each page, link and delivery:
 * `{ site, target, link, delivery, load_ms: [], first_render_ms: [], requests: [] }`.
 */
export async function loadAll(link, { pages, links, runs, netlog }, progress = () => {}) {
  const home = scratch('home')
  const servers = await startServers(link, new Set(pages.map((page) => page.site)), home)
  const flags = [`--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${link.address}`]
  try {
    const any = servers.values().next().value
    return await withBrowser(chromium103, any, { flags, netlog, through: link.client }, async (browser) => {
      const cells = []
      for (const page of pages) {
        await link.set('rtt=1ms')
        for (let run = 0; run < WARM_UPS; run++) await loadEach(link, browser, servers, page, DELIVERIES)
        for (const text of links) {
          progress(`${page.site} ${page.target} over ${text}`)
          await link.set(text)
          cells.push(...(await compare(link, browser, servers, { ...page, link: text }, runs)))
        }
      }
      return cells
    })
  } finally {
    for (const server of servers.values()) await server.stop()
  }
}

/** A server for each site and delivery, all with one authority: `none python` and so on. */
async function startServers(link, names, home) {
  const servers = new Map()
  for (const name of names) {
    for (const delivery of DELIVERIES) {
      const args = [...SITES[name].args, '--host', link.address, '--deliver', delivery]
      servers.set(`${delivery} ${name}`, await Server.start(SITES[name].root, args, home, 'serve', link.server))
    }
  }
  return servers
}

async function compare(link, browser, servers, page, runs) {
  const cells = DELIVERIES.map((delivery) => ({ ...page, delivery, load_ms: [], first_render_ms: [], requests: [] }))
  for (let run = 0; run < runs; run++) {
    const order = run % 2 === 0 ? cells : cells.toReversed()
    const loads = await loadEach(link, browser, servers, page, order.map((cell) => cell.delivery))
    for (const [index, cell] of order.entries()) {
      for (const [name, number] of Object.entries(loads[index])) cell[name].push(number)
    }
  }
  return cells
}

async function loadEach(link, browser, servers, page, deliveries) {
  const loads = []
  for (const delivery of deliveries) {
    const server = servers.get(`${delivery} ${page.site}`)
    const before = asked(server)
    const marks = await load(browser, server.origin + page.target)
    await link.quiet()
    loads.push({ ...marks, requests: asked(server) - before })
  }
  return loads
}

const asked = (server) => server.requests().filter(({ method }) => method === 'GET').length

async function load(browser, url) {
  const context = await browser.createIncognitoBrowserContext()
  try {
    const page = await context.newPage()
    await page.goto(url, { waitUntil: 'load', timeout: LOAD_MS })
    return await page.evaluate(marksOfPage, PAINT_MS)
  } finally {
    await context.close()
  }
}

/** Runs in the page: waits for the first paint and the end of the load event. */
function marksOfPage(most_ms) {
  const start = performance.now()
  return new Promise((resolve, reject) => {
    const look = () => {
      const [navigation] = performance.getEntriesByType('navigation')
      const [paint] = performance.getEntriesByName('first-contentful-paint')
      if (navigation.loadEventEnd > 0 && paint) {
        resolve({ load_ms: navigation.loadEventEnd, first_render_ms: paint.startTime })
      } else if (performance.now() - start > most_ms) {
        reject(new Error(`nothing painted on ${location.href}`))
      } else {
        setTimeout(look, 10)
      }
    }
    look()
  })
}

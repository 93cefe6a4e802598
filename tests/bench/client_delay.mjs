// node tests/bench/client_delay.mjs [LOADS]
//
// Chromium 103's own delay, which `--client-delay` stands for: from the arrival of the bytes of a
// document that name a resource in its head until the request for it leaves, both by the browser's
// netlog (whole milliseconds). A page of one packet, a new context each time; on loopback, where the
// answer comes while the renderer still starts, and where it comes 100 ms later (on an emulated link
// without a limit, if there can be one). Have the machine idle.

import path from 'node:path'
import { chromium103, eventsOf, fieldOf, visit, withBrowser } from '../outside/lib/browser.mjs'
import { Server } from '../outside/lib/forerun.mjs'
import { scratch, writeSite } from '../outside/lib/tools.mjs'
import { lacksLink, withLink } from './link/link.mjs'
import { median, quantile } from './validate/statistics.mjs'

const loads = Number(process.argv[2] || 31)
const named = ['/first.css', '/second.css', '/third.js']
const site = writeSite({
  'index.html': `<!doctype html><title>delay</title><link rel=icon href=data:,>
<link rel=stylesheet href=/first.css><link rel=stylesheet href=/second.css><script src=/third.js></script><p>text`,
  'first.css': 'p { color: red }',
  'second.css': 'p { margin: 0 }',
  'third.js': 'window.third = true',
})

const lacks = chromium103.lacks()
if (lacks) {
  console.error(`cannot measure the client's delay: ${lacks}`)
  process.exit(2)
}
print('loopback', await delays([], {}))
const unlinked = await lacksLink()
if (unlinked) console.log(`link of 100 ms: skipped: ${unlinked}`)
else {
  await withLink(async (link) => {
    await link.set('rtt=100ms')
    print('link of 100 ms', await delays(['--host', link.address], link))
  })
}

/** The delays in milliseconds, of each load and resource. */
async function delays(args, ends) {
  const netlog = path.join(scratch('netlog'), 'netlog.json')
  const server = await Server.start(site, ['--deliver', 'none', ...args], scratch('home'), 'serve', ends.server)
  try {
    await withBrowser(chromium103, server, { netlog, through: ends.client }, async (browser) => {
      for (let load = 0; load < loads; load++) {
        const { context } = await visit(browser, `${server.origin}/`)
        await context.close()
      }
    })
  } finally {
    await server.stop()
  }
  return delaysIn(eventsOf(netlog))
}

function delaysIn(events) {
  const arrived = new Map()
  const documents = new Map()
  const found = []
  for (const event of events) {
    const stream = `${event.session} ${event.params?.stream_id}`
    if (event.name === 'HTTP2_SESSION_SEND_HEADERS') {
      const target = fieldOf(event, ':path')
      if (target === '/') documents.set(stream, event.session)
      else if (named.includes(target)) found.push(event.time_ms - arrived.get(event.session))
    } else if (event.name === 'HTTP2_SESSION_RECV_DATA' && documents.has(stream) && event.params.size > 0) {
      if (!arrived.has(event.session)) arrived.set(event.session, event.time_ms)
    }
  }
  return found
}

function print(where, delays) {
  console.log(`${where}: ${delays.length} requests, delay ${median(delays).toFixed(1)} ms in the middle, ` +
    `p10 ${quantile(delays, 0.1).toFixed(1)}, p90 ${quantile(delays, 0.9).toFixed(1)}`)
}

// Sites that nobody made for this test: the Python documentation and two Bootstrap themes.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { assertNotAskedFor, chromium, chromium103, pushesOf, visit, withBrowser } from './lib/browser.mjs'
import { offline, pythonRoot, themeRoot } from './lib/fixtures.mjs'
import { planOf, withServer } from './lib/forerun.mjs'
import { linksOf, onDisk, pagesOf } from './lib/links.mjs'
import { withPeer } from './lib/peer.mjs'
import { scratch } from './lib/tools.mjs'

const sites = [
  {
    name: 'Python documentation',
    root: pythonRoot(),
    lacks: 'Debian package python3-doc is not installed',
    pagesMin: 400,
    // Its jquery.js and underscore.js are symlinks to other packages.
    args: ['--follow-symlinks'],
    compared: ['/library/os.html', '/index.html', '/tutorial/classes.html', '/genindex-A.html', '/search.html'],
  },
  {
    name: 'Python documentation without its symlinks',
    root: pythonRoot(),
    lacks: 'Debian package python3-doc is not installed',
    pagesMin: 400,
    args: [],
    compared: ['/library/asyncio.html'],
  },
  {
    name: 'startbootstrap-agency',
    root: themeRoot('startbootstrap-agency'),
    lacks: 'npm package startbootstrap-agency is not installed',
    pagesMin: 1,
    args: [],
    compared: ['/index.html'],
  },
  {
    name: 'startbootstrap-sb-admin-2',
    root: themeRoot('startbootstrap-sb-admin-2'),
    lacks: 'npm package startbootstrap-sb-admin-2 is not installed',
    pagesMin: 10,
    args: [],
    compared: ['/index.html', '/login.html', '/charts.html', '/tables.html', '/buttons.html', '/404.html'],
  },
]

for (const site of sites) {
  const lacks = site.root ? false : site.lacks

  test(`${site.name}: every page answers, and every link as the disk has it`, { skip: lacks, timeout: 300_000 }, async (t) => {
    await withServer(site.root, site.args, (server) =>
      withPeer(server, async (peer) => {
        const outcome = await crawl(peer, server, site)
        t.diagnostic(`${site.name}: ${outcome.pages} pages, ${outcome.links} links, ${outcome.broken} of them to nothing on disk`)
        assert.ok(outcome.pages >= site.pagesMin, `${outcome.pages} pages`)
      }),
    )
  })

  const planned = { skip: lacks || chromium103.lacks() || chromium.lacks(), timeout: 300_000 }
  test(`${site.name}: nothing is planned that Chromium does not fetch by itself`, planned, async (t) => {
    await withServer(site.root, [...site.args, '--deliver', 'none'], async (server) => {
      for (const kind of [chromium103, chromium]) {
        await withBrowser(kind, server, offline, async (browser) => {
          for (const target of site.compared) await compare(t, kind, browser, server, site, target)
        })
      }
    })
  })

  const pushed = { skip: lacks || chromium103.lacks(), timeout: 300_000 }
  test(`${site.name}: Chromium 103 adopts each push, of all that can be pushed`, pushed, async (t) => {
    const netlog = path.join(scratch('netlog'), 'netlog.json')
    const server = await withServer(site.root, [...site.args, '--push', 'all'], async (server) => {
      // A large page is answered before its needs are known, the first time.
      for (const target of site.compared) await withPeer(server, (peer) => peer.untilPushed(target))
      await withBrowser(chromium103, server, { netlog, ...offline }, async (browser) => {
        for (const target of site.compared) await visit(browser, server.origin + target)
      })
      return server
    })
    const pushes = pushesOf(netlog)
    t.diagnostic(`${site.name}: ${pushes.length} pushed in ${site.compared.length} visits`)
    assert.ok(pushes.length > 0)
    assert.deepEqual(pushes.filter((push) => !push.adopted).map((push) => push.url), [], 'pushed and never used')
    assertNotAskedFor(server, pushes)
  })
}

/** Asks for every page and follows every link; each answer must be what the disk has. */
async function crawl(peer, server, site) {
  const followSymlinks = site.args.includes('--follow-symlinks')
  const queue = ['/', ...pagesOf(site.root)]
  const seen = new Set(queue)
  const outcome = { pages: 0, links: 0, broken: 0 }
  while (queue.length > 0) {
    const target = queue.shift()
    const expected = onDisk(site.root, target, { followSymlinks })
    const answer = await peer.ask(target, { 'accept-push-policy': 'none' })
    outcome.links += 1
    if (expected.status === 'redirect') {
      assert.ok([301, 302, 307, 308].includes(answer.status), `${target}: ${answer.status}`)
      assert.equal(new URL(answer.headers.location, server.origin + target).pathname, `${new URL(target, server.origin).pathname}/`)
      add(answer.headers.location)
      continue
    }
    assert.equal(answer.status, expected.status, target)
    if (expected.status !== 200) {
      outcome.broken += 1
      continue
    }
    assert.ok(answer.body.equals(readFileSync(expected.file)), `${target} as on disk`)
    if (!/^text\/html/.test(answer.headers['content-type'])) continue
    outcome.pages += 1
    for (const link of linksOf(`${answer.body}`, server.origin + target)) add(link)
  }
  return outcome

  function add(link) {
    if (seen.has(link)) return
    seen.add(link)
    queue.push(link)
  }
}

/** What is planned for a page is among what the browser fetches for it unasked. */
async function compare(t, kind, browser, server, site, target) {
  const { context, fetched, fetchedBeforeLoad } = await visit(browser, server.origin + target)
  await context.close()
  const own = (urls) =>
    new Set(urls.filter((url) => url.startsWith(`${server.origin}/`)).map((url) => url.slice(server.origin.length).replace(/#.*/, '')))
  const early = own(fetched.slice(0, fetchedBeforeLoad))
  early.delete(target)
  const shares = []
  for (const push of ['critical', 'all']) {
    const plan = await planOf(site.root, target, [...site.args.filter((arg) => arg === '--follow-symlinks'), '--push', push])
    const wasted = plan.sent.filter((path) => !own(fetched).has(path))
    assert.deepEqual(wasted, [], `${target}: planned with --push ${push}, and ${kind.name} does not fetch it`)
    const foreseen = [...early].filter((path) => plan.sent.includes(path)).length
    shares.push(`${foreseen} (${Math.round((100 * foreseen) / early.size)} %) sent ahead with --push ${push}`)
    if (push === 'all') {
      const elsewhere = fetched.filter((url) => /^https?:/.test(url) && !url.startsWith(`${server.origin}/`))
      const unforeseen = elsewhere.filter((url) => !plan.elsewhere.includes(url))
      assert.deepEqual(unforeseen, [], `${target}: fetched from elsewhere, and not in the plan`)
      const other = plan.elsewhere.length
      if (other > 0) shares.push(`${other} of other origins named as such`)
    }
  }
  t.diagnostic(`${site.name} ${target}, ${kind.name}: of ${early.size} early fetches ${shares.join(', ')}`)
}

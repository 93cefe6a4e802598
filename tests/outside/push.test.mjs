// Chromium 103, the browser that takes pushes: each promise is adopted, and none comes twice.

import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { assertNotAskedFor, chromium103, open, pushesOf, settledOf, visit, withBrowser } from './lib/browser.mjs'
import { hidden, hiddenIsWhole, hiddenNeeds, ownPages, ownSite } from './lib/fixtures.mjs'
import { withServer } from './lib/forerun.mjs'
import { edit, scratch, writeSite } from './lib/tools.mjs'

const skip = chromium103.lacks()
const options = { skip, timeout: 120_000 }

/** Runs `use(browser, server)` and returns the pushes that the netlog tells of, and the server. */
async function logged(root, use, flags = []) {
  const netlog = path.join(scratch('netlog'), 'netlog.json')
  const server = await withServer(root, flags, async (server) => {
    await withBrowser(chromium103, server, { netlog }, (browser) => use(browser, server))
    return server
  })
  return { server, pushes: pushesOf(netlog) }
}

/** Every push was used, and nobody asked for what was pushed. */
function assertAllAdopted({ pushes, server }) {
  const unused = pushes.filter((push) => !push.adopted).map((push) => push.url)
  assert.deepEqual(unused, [], 'pushed and never used')
  assertNotAskedFor(server, pushes)
}

test('Chromium 103 adopts each push and asks for nothing it was promised', options, async () => {
  const outcome = await logged(writeSite(hidden), async (browser, server) => {
    const { page, complaints } = await visit(browser, `${server.origin}/`)
    assert.ok(await page.evaluate(hiddenIsWhole), 'the page is whole')
    assert.deepEqual(complaints, [])
  })
  assertAllAdopted(outcome)
  const paths = outcome.pushes.map((push) => new URL(push.url).pathname).sort()
  assert.deepEqual(paths, hiddenNeeds)
})

test('Chromium 103: a reload is pushed nothing, and an edit is seen', options, async () => {
  const root = writeSite(hidden)
  const outcome = await logged(root, async (browser, server) => {
    const { page } = await visit(browser, `${server.origin}/`)
    await page.reload({ waitUntil: 'networkidle0' })
    assert.ok(await page.evaluate(hiddenIsWhole), 'the page is whole')
    edit(root, 'index.html', `${hidden['index.html']}<p id=edited>edited</p>`)
    const deadline = Date.now() + 15_000
    while (Date.now() < deadline && !(await page.$('#edited'))) await page.reload({ waitUntil: 'networkidle0' })
    assert.ok(await page.$('#edited'), 'the edit is there')
  })
  const seen = new Map()
  for (const { url } of outcome.pushes) seen.set(url, (seen.get(url) || 0) + 1)
  assert.deepEqual([...seen].filter(([, count]) => count > 1), [], 'pushed twice')
  assert.deepEqual(outcome.pushes.filter((push) => !push.adopted), [], 'pushed and never used')
})

test('Chromium 103: who comes back later is pushed nothing that is in the cache', options, async () => {
  const home = scratch('browser')
  const netlogs = ['first', 'second'].map((name) => path.join(home, `${name}.json`))
  const server = await withServer(writeSite(hidden), [], async (server) => {
    for (const netlog of netlogs) {
      await withBrowser(chromium103, server, { netlog, home }, async (browser) => {
        const { page } = await open(browser, `${server.origin}/`)
        assert.ok(await page.evaluate(hiddenIsWhole), 'the page is whole')
      })
    }
    return server
  })
  const [first, second] = netlogs.map(pushesOf)
  assert.equal(first.length, hiddenNeeds.length)
  assert.deepEqual(second, [])
  const pages = server.requests().filter((request) => request.target === '/')
  assert.deepEqual(pages.map((request) => request.status), [200, 304])
})

for (const target of skip ? ['/'] : ownPages()) {
  test(`Chromium 103 adopts each push of site${target}`, options, async (t) => {
    const outcome = await logged(ownSite, async (browser, server) => {
      const settled = settledOf(target)
      const { page, complaints } = await visit(browser, server.origin + target, settled)
      assert.deepEqual(complaints, [])
      await page.reload({ waitUntil: settled })
    }, ['--demo'])
    assertAllAdopted(outcome)
    const seen = outcome.pushes.map((push) => push.url)
    assert.equal(new Set(seen).size, seen.length, 'the reload was pushed something again')
    t.diagnostic(`site${target}: ${seen.length} pushed, all adopted`)
  })
}

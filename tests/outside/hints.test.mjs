// Browsers of today: no pushes, but 103 Early Hints. Used, and nothing fetched twice for them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chromium, firefox, settledOf, visit, withBrowser } from './lib/browser.mjs'
import { hidden, hiddenIsWhole, ownPages, ownSite } from './lib/fixtures.mjs'
import { withServer } from './lib/forerun.mjs'
import { writeSite } from './lib/tools.mjs'

// Browsers miss some 103s that come right before the 200, so one navigation proves nothing.
const NAVIGATIONS = 10

/** In a page: how many files the browser fetched because of a 103. */
const countHinted = () => performance.getEntriesByType('resource').filter((entry) => entry.initiatorType === 'early-hints').length

for (const kind of [chromium, firefox]) {
  const options = { skip: kind.lacks(), timeout: 240_000 }

  test(`${kind.name} uses the hints of a 103, and fetches nothing twice`, options, async (t) => {
    const counts = []
    const server = await withServer(writeSite(hidden), ['--deliver', 'hints'], async (server) => {
      await withBrowser(kind, server, {}, async (browser) => {
        for (let navigation = 0; navigation < NAVIGATIONS; navigation += 1) {
          const { context, page, complaints } = await visit(browser, `${server.origin}/`)
          assert.ok(await page.evaluate(hiddenIsWhole), 'the page is whole')
          assert.deepEqual(complaints, [])
          counts.push(await page.evaluate(countHinted))
          await context.close()
        }
      })
      return server
    })
    t.diagnostic(`${kind.name}: hinted files used in ${NAVIGATIONS} navigations: ${counts.join(' ')}`)
    assert.ok(counts.some((count) => count > 0), 'hints used in at least one navigation')
    assertOnce(server, NAVIGATIONS)
  })

  for (const args of [['--deliver', 'hints'], []]) {
    const how = args.join(' ') || 'by default'
    test(`${kind.name} shows every page of site/ without a complaint, and fetches nothing twice, ${how}`, options, async (t) => {
      const pages = ownPages()
      const hinted = []
      const server = await withServer(ownSite, [...args, '--demo'], async (server) => {
        await withBrowser(kind, server, {}, async (browser) => {
          for (const target of pages) {
            const { context, page, complaints } = await visit(browser, server.origin + target, settledOf(target))
            assert.deepEqual(complaints, [], target)
            hinted.push(`${target} ${await page.evaluate(countHinted)}`)
            await context.close()
          }
        })
        return server
      })
      t.diagnostic(`${kind.name}, ${how}: hinted files used: ${hinted.join(', ')}`)
      assertOnce(server, pages.length)
    })
  }
}

/** No file was fetched more than once by any of `visits` visitors with an empty cache. */
function assertOnce(server, visits) {
  const gets = server.gets()
  assert.ok(gets.size > 0, 'the log names requests')
  const twice = [...gets].filter(([, count]) => count > visits)
  assert.deepEqual(twice, [], `fetched more than ${visits} times in ${visits} visits`)
}

// `forerun dev` puts its script into documents of every kind, and changes nothing else of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chromium, firefox, visit, withBrowser } from './lib/browser.mjs'
import { withDev, withServer } from './lib/forerun.mjs'
import { hostile } from './lib/hostile.mjs'
import { writeSite } from './lib/tools.mjs'

const names = Object.keys(hostile)
const standsAt = (name) => `/${name.replaceAll(/\W+/g, '-')}.html`
const site = () => writeSite(Object.fromEntries(names.map((name) => [standsAt(name).slice(1), hostile[name][0]])))

/** In a page: what a script that is put into it must not change. */
const told = () => {
  const { documentElement: root, doctype, compatMode, characterSet, title } = document
  for (const script of document.querySelectorAll('script[src^="/.forerun/"]')) script.remove()
  return {
    compatMode,
    characterSet,
    title,
    doctype: doctype && [doctype.name, doctype.publicId, doctype.systemId],
    tree: root.outerHTML,
    before: [...document.childNodes].map((node) => node.nodeName),
  }
}

for (const kind of [chromium, firefox]) {
  test(`${kind.name} runs the script in every document, and shows it as it is`, { skip: kind.lacks(), timeout: 240_000 }, async (t) => {
    const root = site()
    const look = (serve) =>
      serve(root, [], (server) =>
        withBrowser(kind, server, {}, async (browser) => {
          const seen = {}
          const { page } = await visit(browser, 'about:blank')
          for (const name of names) {
            await page.goto(server.origin + standsAt(name), { waitUntil: 'load' })
            const scripts = () => performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)
            seen[name] = { ran: (await page.evaluate(scripts)).includes('/.forerun/events'), ...(await page.evaluate(told)) }
          }
          return seen
        }),
      )
    const served = await look(withServer)
    const edited = await look(withDev)
    for (const name of names) {
      const [, standards, { moves } = {}] = hostile[name]
      const { ran, ...shown } = edited[name]
      const { ran: never, ...expected } = served[name]
      assert.equal(shown.compatMode, standards ? 'CSS1Compat' : 'BackCompat', name)
      if (!moves) assert.deepEqual(shown, expected, name)
      assert.ok(ran && !never, `${name}: the script has run`)
    }
    t.diagnostic(`${names.length} documents`)
  })
}

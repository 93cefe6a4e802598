// `forerun dev` puts its script into documents of every kind, and changes nothing else of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chromium, firefox, visit, withBrowser } from './lib/browser.mjs'
import { withDev, withServer } from './lib/forerun.mjs'
import { hostile } from './lib/hostile.mjs'
import { writeSite } from './lib/tools.mjs'

const RUN_MS = 15_000

const names = Object.keys(hostile)
const pathOf = (name) => `/${name.replaceAll(/\W+/g, '-')}.html`
const site = () => writeSite(Object.fromEntries(names.map((name) => [pathOf(name).slice(1), hostile[name][0]])))

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
    const look = (serve, arrive) =>
      serve(root, [], (server) =>
        withBrowser(kind, server, {}, async (browser) => {
          const seen = {}
          const { page } = await visit(browser, 'about:blank')
          for (const name of names) {
            await arrive(page, server.origin + pathOf(name), name)
            seen[name] = await page.evaluate(told)
          }
          return seen
        }),
      )
    const arrive = (page, url) => page.goto(url, { waitUntil: 'load' })
    const arriveLive = async (page, url, name) => {
      const asked = page.waitForRequest((request) => request.url().includes('/.forerun/events'), { timeout: RUN_MS })
      const ran = asked.catch(() => assert.fail(`${name}: the script has not run after ${RUN_MS} ms`))
      await Promise.all([ran, arrive(page, url)])
    }
    const served = await look(withServer, arrive)
    const edited = await look(withDev, arriveLive)
    for (const name of names) {
      const [, standards, { moves } = {}] = hostile[name]
      assert.equal(edited[name].compatMode, standards ? 'CSS1Compat' : 'BackCompat', name)
      if (!moves) assert.deepEqual(edited[name], served[name], name)
    }
    t.diagnostic(`${names.length} documents`)
  })
}

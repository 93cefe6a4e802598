// Pages that are open while their site is edited, and what is looked at in them.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { withBrowser } from './browser.mjs'
import { withDev } from './forerun.mjs'
import { writeSite } from './tools.mjs'

const SEEN_MS = 15_000
const REPLACED_MAX = 4

/**
 * Returns `live(name, use, settings)`: a test in one kind of browser, with a copy of the site of its
 * own that is served with live reload. `use` gets `{ t, root, server, browser, open(target) }`.
 * The site is its files, or a function that makes the copy and returns its root; `lacks` is a reason
 * to skip.
 */
export function liveIn(kind, site, lacks = false) {
  const options = { skip: lacks || kind.lacks(), timeout: 120_000 }
  return (name, use, settings = {}) =>
    test(`${kind.name}: ${name}`, options, async (t) => {
      const root = typeof site === 'function' ? site() : writeSite(site)
      await withDev(root, settings.args || [], (server) =>
        withBrowser(kind, server, settings, (browser) =>
          use({ t, root, server, browser, open: (target, before) => open(browser, server.origin + target, before) }),
        ),
      )
    })
}

/** Opens a tab, marks its document, and gathers what it complains of in `page.complaints`. */
async function open(browser, url, before) {
  const page = await browser.newPage()
  page.complaints = []
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()))
  page.on('pageerror', (error) => page.complaints.push(error.message))
  if (before) await page.evaluateOnNewDocument(before)
  await page.goto(url, { waitUntil: 'load', timeout: 30_000 })
  await page.evaluate(() => (window.untouched = true))
  return page
}

/** Whether it is still the document that was opened. */
export const isUntouched = (page) => page.evaluate(() => window.untouched === true)

/** Waits until a test holds that runs in the page, or in the one that replaces it meanwhile. */
export async function until(page, test, ...values) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await page.waitForFunction(test, { timeout: SEEN_MS, polling: 20 }, ...values)
    } catch (error) {
      const isReplaced = /context|navigat|detached|destroyed|actor/i.test(error.message)
      if (!isReplaced || tries === REPLACED_MAX) throw error
    }
  }
}

/** For looking at: FORERUN_SHOTS names a directory. */
export async function shoot(page, name) {
  const directory = process.env.FORERUN_SHOTS
  if (!directory) return
  mkdirSync(directory, { recursive: true })
  await page.screenshot({ path: path.join(directory, `${name}.png`) })
}

/** The element may not be there yet, in a page that is loaded again. */
export const hasColour = (page, selector, value) =>
  until(
    page,
    (selector, value) => {
      const element = document.querySelector(selector)
      return element && getComputedStyle(element).color === value
    },
    selector,
    value,
  )

export const hasTitle = (page, title) => until(page, (title) => document.title === title, title)

/** Runs in a page: it is shown or hidden from now on, as when its tab is. */
export const pretend = (state) => {
  Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state })
  document.dispatchEvent(new Event('visibilitychange'))
}

/** Runs before a page: it is opened in a tab that is hidden. */
export const pretendHidden = () => Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' })

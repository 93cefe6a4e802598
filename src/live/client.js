// The browser's side of `forerun dev`: hears of changes, acts, and tells when it has painted.
//
// It runs first in a page that is not its own, so it leaves nothing behind: no globals, no element,
// no error. What it needs of the window it takes now, before the page can replace it.
(() => {
  'use strict'
  const { EventSource, fetch, setTimeout, clearTimeout, requestAnimationFrame } = window
  const now = Date.now
  const script = document.currentScript
  const { cursor, page = '', file = '', problem, console: forwarding } = script ? script.dataset : {}
  // A sandboxed frame has no origin, and the server answers only its own.
  if (!cursor || !EventSource || self.origin === 'null') return
  script.remove()

  const RETRY_MS = 900
  const LOAD_MS = 5000
  const SCROLLED_MAX = 20
  const CONSOLE_PER_SECOND = 20
  const CONSOLE_CHARS = 2000
  const PLACE_CHARS = 200
  const LEFT_MS = 30_000
  const KEY = `forerun ${location.pathname}`
  // A page's <base> leads elsewhere.
  const HERE = location.origin

  const quietly = (act) => (...values) => {
    try {
      return act(...values)
    } catch {}
  }
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const atMost = (promise) => Promise.race([promise, wait(LOAD_MS)]).catch(() => {})

  // Told back. Not sendBeacon: the server wants an Origin, which some browsers leave out of it.
  const tell = quietly((what) => {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify(what)
    // The referrer names the page, whatever the page says of referrers to others.
    const how = { method: 'POST', keepalive: true, referrerPolicy: 'same-origin', headers, body }
    fetch(`${HERE}/.forerun/told`, how).catch(() => {})
  })
  // The first frame may have begun already; when a second one begins, one has been painted.
  const painted = (ids, since) => {
    const say = () => ids.forEach((id) => tell({ kind: 'painted', id, ms: Math.max(0, now() - since) }))
    requestAnimationFrame(() => requestAnimationFrame(say))
  }

  // Paths are compared as the names they stand for, and a directory is its index page.
  const pathOf = (text, base = location.href) => {
    try {
      const url = new URL(text, base)
      return url.origin === HERE ? decodeURIComponent(url.pathname) : ''
    } catch {
      return ''
    }
  }
  const pageOf = (text) => pathOf(text).replace(/\/(index\.html)?$/, '')
  const isMissing = page.startsWith('missing-')
  const isHere = (url) => pageOf(url) === pageOf(location.href)
  // A page may be shown at another path than its own.
  const isMyFile = (url) => !!file && pageOf(url) === pageOf(file)
  const isMine = (url) => isHere(url) || isMyFile(url) || (isMissing && pathOf(url) === '/404.html')

  // ---- The stream -----------------------------------------------------------------------------

  // The page was served as of `cursor`; a problem that still stands was told before, and is asked
  // for again.
  let seen = problem || cursor
  let stream, retry
  let isForbidden = false

  const close = () => {
    clearTimeout(retry)
    if (stream) stream.close()
    stream = undefined
  }
  // A hidden page holds no connection (HTTP/1.1 has six for all tabs) and catches up when shown.
  const connect = quietly(() => {
    close()
    if (document.visibilityState === 'hidden' || isForbidden) return
    const opened = (stream = new EventSource(`${HERE}/.forerun/events?cursor=${seen}`))
    // Browsers differ in which errors they retry, and how soon; a new stream is the same in all.
    // It starts at what was seen. The jitter spreads the tabs when a server comes back.
    opened.onerror = () => {
      if (stream !== opened) return
      close()
      retry = setTimeout(connect, Math.random() * RETRY_MS)
    }
    for (const [kind, act] of Object.entries(acts)) {
      opened.addEventListener(kind, quietly((event) => stream === opened && hear(kind, act, event)))
    }
  })

  const [cursorEpoch, cursorOffset] = cursor.split('.')
  const isOld = (id) => id.startsWith(`${cursorEpoch}.`) && Number(id.split('.')[1]) <= Number(cursorOffset)

  const hear = (kind, act, { lastEventId: id, data }) => {
    const fromElsewhere = id && id.split('.')[0] !== seen.split('.')[0]
    seen = id || seen
    if (kind === 'hub-gap' || fromElsewhere) verify().catch(() => {})
    // What was asked for again only for the sake of a problem is in the page already.
    if (!(isOld(id) && /change|reload/.test(kind))) act(data ? JSON.parse(data) : {}, id)
  }

  // ---- What happened --------------------------------------------------------------------------

  const acts = {
    change: (change, id) => changed(change, id),
    reload: (_, id) => reload([id]),
    problem: (what) => show(what),
    mended: () => hide(),
    // A problem that still stands is told again after this.
    'hub-gap': () => hide(),
  }

  // Elements that are scrolled by themselves, as selectors and positions.
  const scrolled = quietly(() => {
    const isScrolled = (element) => element !== document.scrollingElement && (element.scrollTop || element.scrollLeft)
    const elements = [...document.querySelectorAll('*')].filter(isScrolled).slice(0, SCROLLED_MAX)
    return elements.map((element) => [selectorOf(element), element.scrollLeft, element.scrollTop])
  })
  const selectorOf = (element) => {
    if (element.id) return `#${CSS.escape(element.id)}`
    const { parentElement, localName } = element
    if (!parentElement) return localName
    const alike = [...parentElement.children].filter((child) => child.localName === localName)
    const name = `${CSS.escape(localName)}:nth-of-type(${alike.indexOf(element) + 1})`
    return `${selectorOf(parentElement)} > ${name}`
  }

  // Keeps the scroll positions, which browsers do not when the page asked them not to, nor ever
  // those of elements; and the ids that the page after this one reports.
  let isLeaving = false
  const reload = (ids = []) => {
    if (isLeaving) return
    isLeaving = true
    const left = { ids, since: now(), x: scrollX, y: scrollY, inner: scrolled() }
    quietly(() => sessionStorage.setItem(KEY, JSON.stringify(left)))()
    location.reload()
    // Its reader may have chosen to stay.
    setTimeout(() => (isLeaving = false), LOAD_MS)
  }

  // After a gap only the page's validator, `version.digest`, can say whether something was missed:
  // the version is of the page and of all that it needs. Until the server knows what that is, there
  // is no digest. Encodings and the cursor come after it.
  const tagOf = (text) => text.replace(/^W\/|"|~.*|-(gzip|br|zstd)(?="?$)/g, '').replace(/^live-/, '')
  const verify = async (tries = 3) => {
    const headers = { accept: 'text/html' }
    const answer = await fetch(location.href, { method: 'HEAD', cache: 'no-store', headers })
    const [here, there] = [page, answer.headers.get('etag') || page].map(tagOf)
    if (here === there) return
    if (there.includes('.') || isMissing || answer.status === 404 || !tries) return reload()
    await wait(1000)
    return verify(tries - 1)
  }

  const changed = ({ changed: files, pages, all }, id) => {
    if (!all && ![...pages, ...files.map((file) => file.url)].some(isMine)) return
    // The pages of others say nothing about this one.
    const mine = files.filter((file) => file.kind !== 'page' || isMine(file.url))
    const inPlace = mine.every((file) => file.what === 'modified' && /^(style|image)$/.test(file.kind))
    if (all || !mine.length || !inPlace || document.readyState === 'loading') return reload([id])
    waiting.push({ id, since: now(), files: mine })
    work()
  }

  // One at a time; what is heard meanwhile is done together.
  const waiting = []
  let isWorking = false
  const work = async () => {
    if (isWorking) return
    isWorking = true
    while (waiting.length) {
      const batch = waiting.splice(0)
      const ids = batch.map((change) => change.id)
      const files = batch.flatMap((change) => change.files)
      const isDone = await refresh(files, ids[ids.length - 1]).catch(() => false)
      if (isDone) painted(ids, batch[0].since)
      else reload(ids)
    }
    isWorking = false
  }

  // ---- In place -------------------------------------------------------------------------------

  // path -> id of the last change: sheets that come later still name their imports and images
  // without a version, and a browser may hold those in memory as they were.
  const versions = new Map()
  const found = new Set()

  // Returns the URL with the version that it should have, or nothing if it is right as it is.
  const fresh = (text, base) => {
    const path = pathOf(text, base)
    const version = versions.get(path)
    if (!version) return undefined
    found.add(path)
    const [, url, query = '', hash = ''] = text.match(/^([^?#]*)(\?[^#]*)?(#.*)?$/s) || []
    const kept = query.slice(1).split('&').filter((part) => part && !part.startsWith('forerun='))
    const versioned = `${url}?${[...kept, `forerun=${version}`].join('&')}${hash}`
    return versioned === text ? undefined : versioned
  }

  // Returns whether all that was changed and that the page uses was found in it.
  const refresh = async (files, version) => {
    found.clear()
    for (const { url } of files) versions.set(pathOf(url), version)
    const images = files.filter((file) => file.kind === 'image')
    const links = [...document.querySelectorAll('link[rel~=stylesheet][href]')]
    const swapped = links.filter((link) => fresh(link.getAttribute('href'), link.baseURI)).map(swap)
    // A background that is not loaded yet would be blank for a moment.
    const load = ({ url }) => loaded(Object.assign(new Image(), { src: `${HERE}${url}?forerun=${version}` }))
    await Promise.all([...swapped, ...images.map(load)])
    const waits = []
    for (const sheet of document.styleSheets) freshen(sheet, sheet.href || document.baseURI, waits)
    if (images.length) freshenElements(waits)
    await Promise.all(waits)
    // What was never fetched is the business of another page.
    const fetched = new Set(performance.getEntriesByType('resource').map(({ name }) => pathOf(name)))
    const paths = files.map((file) => pathOf(file.url))
    const isDone = (path) => found.has(path) || !fetched.has(path)
    return paths.some((path) => found.has(path)) && paths.every(isDone)
  }

  const loaded = (image) => atMost(image.decode())

  // The old sheet goes when the new one is there: nothing flashes, nothing jumps.
  const swap = async (link) => {
    const href = fresh(link.getAttribute('href'), link.baseURI)
    if (link.disabled && !link.sheet) return link.setAttribute('href', href)
    const clone = link.cloneNode()
    clone.setAttribute('href', href)
    const arrived = new Promise((resolve) => {
      clone.onload = () => resolve(true)
      clone.onerror = () => resolve(false)
    })
    link.after(clone)
    const isThere = await atMost(arrived)
    if (!isThere) return clone.remove()
    const waits = []
    if (clone.sheet) {
      if (link.sheet) clone.sheet.disabled = link.sheet.disabled
      freshen(clone.sheet, clone.href, waits)
    }
    await Promise.all(waits)
    link.remove()
  }

  // Gives imports and images their versions, in a sheet or in a rule that holds rules.
  const freshen = (sheet, base, waits) => {
    let rules = []
    // The sheets of other origins cannot be read.
    quietly(() => (rules = [...sheet.cssRules]))()
    for (const rule of rules) {
      if (rule.type === CSSRule.IMPORT_RULE) freshenImport(sheet, rule, base, waits)
      if (rule.style) freshenStyle(rule.style, base)
      if (rule.cssRules) freshen(rule, base, waits)
    }
  }

  const freshenImport = (sheet, rule, base, waits) => {
    const href = fresh(rule.href, base)
    if (!href) {
      if (rule.styleSheet) freshen(rule.styleSheet, rule.styleSheet.href, waits)
      return
    }
    // Chromium loses a sheet whose imports change while it is imported itself.
    if (sheet.ownerRule) return waits.push(Promise.reject(new Error('an import in an import')))
    const at = [...sheet.cssRules].indexOf(rule)
    // Before the old one, which therefore wins until it goes.
    sheet.insertRule(rule.cssText.replace(/url\("(?:\\.|[^"\\])*"\)/, () => cssUrl(href, base)), at)
    const added = sheet.cssRules[at]
    const drop = (which) => sheet.deleteRule([...sheet.cssRules].indexOf(which))
    waits.push(
      arrival(added).then((isThere) => {
        drop(isThere ? rule : added)
        const inner = []
        if (isThere) freshen(added.styleSheet, added.styleSheet.href, inner)
        return Promise.all(inner)
      }),
    )
  }

  // No event tells when an import that was added to a sheet has arrived.
  const arrival = async (rule) => {
    for (const deadline = now() + LOAD_MS; now() < deadline; await wait(5)) {
      if (quietly(() => rule.styleSheet.cssRules)()) return true
    }
    return false
  }

  const cssUrl = (href, base) => `url(${JSON.stringify(new URL(href, base).href)})`
  const CSS_URL = /url\(\s*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([^"')\s]*))\s*\)/g

  const freshenStyle = (style, base) => {
    if (!style.cssText.includes('url(')) return
    for (const name of style) {
      const value = style.getPropertyValue(name)
      const better = value.replace(CSS_URL, (whole, double, single, bare) => {
        const href = fresh(double || single || bare || '#', base)
        return href ? cssUrl(href, base) : whole
      })
      if (better !== value) style.setProperty(name, better, style.getPropertyPriority(name))
    }
  }

  const SHOWING = 'img,source,input[src],embed,object,video[poster],image,link[rel~=icon],[style]'

  const freshenElements = (waits) => {
    for (const element of document.querySelectorAll(SHOWING)) {
      const base = element.baseURI
      let touched = false
      const set = (name, better) => {
        if (better === undefined || better === element.getAttribute(name)) return
        element.setAttribute(name, better)
        touched = true
      }
      for (const name of ['src', 'href', 'poster', 'data']) {
        const url = element.getAttribute(name)
        if (url) set(name, fresh(url, base))
      }
      const srcset = element.getAttribute('srcset')
      if (srcset) set('srcset', srcset.replace(/[^\s,]\S*[^\s,]/g, (text) => fresh(text, base) || text))
      if (element.style) freshenStyle(element.style, base)
      // An image that is lazy may never load.
      if (touched && element.decode && element.loading !== 'lazy') waits.push(loaded(element))
    }
  }

  // ---- A problem ------------------------------------------------------------------------------

  let overlay
  const hide = () => {
    if (overlay) overlay.remove()
    overlay = undefined
  }
  const show = ({ title, text }) => {
    // Frames leave it to the page around them.
    if (window !== top) return
    hide()
    const part = (name, content) => Object.assign(document.createElement(name), { textContent: content })
    overlay = document.createElement('forerun-problem')
    // Inline and important, for the page's own rules reach this element, but nothing in it.
    for (const declaration of HOST) overlay.style.setProperty(...declaration.split(': '), 'important')
    const shadow = overlay.attachShadow({ mode: 'closed' })
    const button = Object.assign(part('button', '\u00d7'), { title: 'Close', onclick: hide })
    button.setAttribute('aria-label', 'Close')
    const card = part('section')
    card.setAttribute('role', 'alert')
    const header = part('header')
    header.append(part('h1', title), button)
    // Builds colour their words for terminals.
    const words = `${text}`.replace(/\u001b\[[\d;?]*[A-Za-z]/g, '').trim()
    card.append(header)
    if (words) card.append(part('pre', words))
    card.append(part('p', 'The site stays as it was. This goes when the problem is mended.'))
    shadow.append(card)
    // A sheet made by script passes a policy that forbids inline styles.
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(LOOK)
    shadow.adoptedStyleSheets = [sheet]
    document.documentElement.append(overlay)
    // Above open dialogs, where the browser can.
    overlay.popover = 'manual'
    if (overlay.showPopover) overlay.showPopover()
  }

  const HOST = [
    'all: initial', 'display: block', 'position: fixed', 'inset: auto 0 0 0', 'width: auto',
    'background: none', 'z-index: 2147483647',
  ]
  const LOOK = `
    section {
      --paper: #fffdfa; --ink: #24201c; --soft: #6d655c; --line: #e6ddd1; --code: #f6f0e7; --red: #c0271a;
      color-scheme: light dark; box-sizing: border-box;
      max-width: 56rem; width: calc(100% - 2rem); margin: 0 auto 1rem;
      border: 1px solid var(--line); border-top: 4px solid var(--red); border-radius: 10px;
      background: var(--paper); color: var(--ink); box-shadow: 0 12px 40px rgb(0 0 0 / .28); overflow: hidden;
      font: 15px/1.5 system-ui, sans-serif; text-align: start;
    }
    header { display: flex; gap: 1rem; align-items: flex-start; padding: .8rem .8rem .6rem 1.2rem }
    h1 { flex: 1; margin: .15rem 0 0; font-size: 1.05rem; font-weight: 650; overflow-wrap: anywhere }
    button { border: 0; border-radius: 6px; width: 2rem; height: 2rem; background: none;
      color: var(--soft); font: 1.35rem/1 system-ui; cursor: pointer }
    button:hover { background: var(--code); color: var(--ink) }
    button:focus-visible { outline: 2px solid var(--red) }
    pre { margin: 0 1.2rem; padding: .7rem .9rem; max-height: 40vh; overflow: auto;
      border-radius: 6px; background: var(--code); white-space: pre-wrap; overflow-wrap: anywhere;
      font: 13px/1.55 ui-monospace, "DejaVu Sans Mono", monospace; tab-size: 4 }
    p { margin: .7rem 1.2rem .9rem; color: var(--soft); font-size: .85rem }
    @media (prefers-color-scheme: dark) {
      section { --paper: #211f1d; --ink: #efe9e1; --soft: #a59b8f; --line: #3b3733; --code: #171513; --red: #ff6a57 }
    }
    @media print { section { display: none } }`

  // ---- What the page complains of -------------------------------------------------------------

  let [second, told] = [0, 0]
  const complain = quietly((words, place = '') => {
    if (forwarding === 'off') return
    const current = Math.floor(now() / 1000)
    if (second !== current) [second, told] = [current, 0]
    told += 1
    if (told > CONSOLE_PER_SECOND) return
    // Half of a pair of surrogates is no JSON to the server.
    const text = `${words}`.slice(0, CONSOLE_CHARS).replace(/\p{Surrogate}/gu, '\ufffd')
    const source = place.replace(HERE, '').slice(0, PLACE_CHARS)
    tell({ kind: 'console', level: 'error', text, source })
  })

  const worded = (value) => {
    if (value instanceof Error) return `${value.name}: ${value.message}`
    if (typeof value !== 'object' || !value) return String(value)
    return quietly(() => JSON.stringify(value))() || Object.prototype.toString.call(value)
  }
  const sentence = ([first, ...rest]) => {
    const filled = (mark) => {
      if (!rest.length) return mark
      const value = rest.shift()
      return mark === '%c' ? '' : worded(value)
    }
    const start = typeof first === 'string' ? first.replace(/%[sdifoOc]/g, filled) : worded(first)
    return [start, ...rest.map(worded)].join(' ')
  }
  // Chromium writes `at f (URL:1:2)`, Firefox `f@URL:1:2`.
  const placeIn = (stack) => {
    const places = `${stack}`.match(/https?:\/\/[^\s()]+:\d+:\d+/g) || []
    return places.find((place) => !place.includes('/.forerun/')) || ''
  }

  const original = console.error
  if (forwarding !== 'off') {
    console.error = function error(...values) {
      quietly(() => complain(sentence(values), placeIn(new Error().stack)))()
      return original.apply(this, values)
    }
  }
  window.addEventListener('error', quietly(({ message, filename, lineno, colno, error }) => {
    complain(error ? worded(error) : message, filename ? `${filename}:${lineno}:${colno}` : '')
  }))
  window.addEventListener('unhandledrejection', quietly(({ reason }) => {
    complain(`unhandled rejection: ${worded(reason)}`, reason instanceof Error ? placeIn(reason.stack) : '')
  }))
  // A policy that forbids the stream will go on doing so.
  document.addEventListener('securitypolicyviolation', quietly(({ blockedURI, effectiveDirective }) => {
    if (isForbidden || !blockedURI.includes('/.forerun/events')) return
    isForbidden = true
    close()
    tell({ kind: 'blocked', text: `${effectiveDirective} forbids the stream of changes` })
  }))

  // ---- The page's life ------------------------------------------------------------------------

  const arrive = quietly(() => {
    const left = JSON.parse(sessionStorage.getItem(KEY))
    sessionStorage.removeItem(KEY)
    if (!left || now() - left.since > LEFT_MS) return
    let moved = false
    for (const kind of ['wheel', 'touchstart', 'pointerdown', 'keydown']) {
      addEventListener(kind, () => (moved = true), { once: true, passive: true })
    }
    // Once what was parsed is there, and again when images have made the page as long as it was.
    const restore = quietly(() => {
      if (moved) return
      scrollTo({ left: left.x, top: left.y, behavior: 'instant' })
      for (const [selector, x, y] of left.inner || []) {
        const element = document.querySelector(selector)
        if (element) element.scrollTo({ left: x, top: y, behavior: 'instant' })
      }
    })
    addEventListener('load', quietly(() => requestAnimationFrame(restore)), { once: true })
    document.addEventListener('DOMContentLoaded', quietly(() => {
      restore()
      painted(left.ids, left.since)
    }), { once: true })
  })

  // Going back, browsers take what they have in their cache without asking. A page that comes from
  // there too has its old cursor, and catches up; one that was fetched anew may have old sheets.
  const mindHistory = quietly(() => {
    const [{ type, transferSize }] = performance.getEntriesByType('navigation')
    if (type === 'back_forward' && transferSize) reload()
  })

  arrive()
  addEventListener('load', mindHistory, { once: true })
  document.addEventListener('visibilitychange', connect)
  // A page that waits in the back-forward cache must hold no stream, or it is thrown out of it.
  addEventListener('pagehide', close)
  addEventListener('pageshow', (event) => {
    if (!event.persisted) return
    isLeaving = false
    connect()
  })
  addEventListener('online', connect)
  connect()
})()

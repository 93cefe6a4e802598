// `forerun dev` in browsers of today: what a saved file does to the tabs that are open.
//
// Nothing here waits for the stream of changes to be open: an edit after a page was served arrives,
// however early it comes.

import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import path from 'node:path'
import { chromium, firefox } from './lib/browser.mjs'
import { hasColour, hasTitle, isUntouched, liveIn, pretend, pretendHidden, shoot, until } from './lib/live.mjs'
import { edit } from './lib/tools.mjs'

const square = (size) => `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}"><rect width="${size}" height="${size}" fill="teal"/></svg>`
const colour = (value) => `body { color: ${value} }\n`

/** A page that is longer than the window, and another that shares nothing with it. */
const site = {
  'index.html': `<!doctype html>
<html lang=en>
<meta charset=utf-8>
<title>first</title>
<link rel=icon href=/icon.svg>
<link rel=stylesheet href=style.css>
<style>main { height: 5000px }</style>
<h1>first</h1>
<img id=plain src=/plain.svg alt="">
<img id=set srcset="/set.svg 1x, /large.svg 2x" alt="">
<picture><source srcset=/picture.svg><img id=picture alt=""></picture>
<div id=background style="height: 9px"></div>
<nav><section style="height: 50px; overflow: auto"><p style="height: 900px">inner</section></nav>
<aside id="an aside" style="height: 50px; overflow: auto"><p style="height: 900px">inner</aside>
<main>long</main>
<script>sessionStorage.loads = 1 + Number(sessionStorage.loads || 0)</script>`,
  'other/index.html': `<!doctype html>
<html lang=en>
<meta charset=utf-8>
<title>other</title>
<link rel=icon href=/icon.svg>
<link rel=stylesheet href=/other.css>
<h1>other</h1>`,
  'strict.html': `<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta http-equiv=Content-Security-Policy content="default-src 'self'">
<title>strict</title>
<link rel=icon href=/icon.svg>
<link rel=stylesheet href=/other.css>
<h1>strict</h1>`,
  'noisy.html': `<!doctype html>
<html lang=en>
<meta charset=utf-8>
<title>noisy</title>
<link rel=icon href=/icon.svg>
<script src=/noisy.js></script>
<h1>noisy</h1>`,
  'noisy.js': `console.error('an error of %s', 'ours', { n: 1 })
setTimeout(() => { throw new Error('thrown') })
Promise.reject(new Error('refused'))`,
  'icon.svg': square(8),
  'plain.svg': square(10),
  'set.svg': square(10),
  'large.svg': square(10),
  'picture.svg': square(10),
  'background.svg': square(10),
  'style.css': `@import "import.css";\n${colour('rgb(1, 1, 1)')}html { background: rgb(250, 250, 250) }`,
  'import.css': 'h1 { color: rgb(1, 1, 1) }\n#background { background: url("background.svg") }',
  'other.css': colour('rgb(1, 1, 1)'),
  '404.html': '<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>nothing here</title>\n<h1>nothing here</h1>',
}

for (const kind of [chromium, firefox]) {
  const live = liveIn(kind, site)

  live('a style sheet is swapped in place: nothing flashes, nothing scrolls', async ({ root, server, open }) => {
    const page = await open('/')
    await page.evaluate(() => {
      scrollTo(0, 1500)
      window.seen = new Set()
      const look = () => {
        window.seen.add(getComputedStyle(document.documentElement).backgroundColor)
        requestAnimationFrame(look)
      }
      look()
    })
    edit(root, 'style.css', site['style.css'].replace('rgb(1, 1, 1)', 'rgb(2, 2, 2)').replaceAll('250', '240'))
    await hasColour(page, 'body', 'rgb(2, 2, 2)')
    await until(page, () => document.querySelectorAll('link[rel=stylesheet]').length === 1)
    await server.said(/style\.css -> 1 tab, painted in \d+ ms/)
    assert.ok(await isUntouched(page))
    assert.equal(await page.evaluate(() => scrollY), 1500)
    assert.deepEqual(await page.evaluate(() => [...window.seen]), ['rgb(250, 250, 250)', 'rgb(240, 240, 240)'])
    assert.deepEqual(page.complaints, [])
  })

  live('an imported style sheet is swapped in place, and stays swapped', async ({ root, server, open }) => {
    const page = await open('/')
    edit(root, 'import.css', site['import.css'].replace('rgb(1, 1, 1)', 'rgb(2, 2, 2)'))
    await hasColour(page, 'h1', 'rgb(2, 2, 2)')
    await server.said(/import\.css -> 1 tab, painted/)
    edit(root, 'style.css', site['style.css'].replace('rgb(1, 1, 1)', 'rgb(3, 3, 3)'))
    await hasColour(page, 'body', 'rgb(3, 3, 3)')
    await hasColour(page, 'h1', 'rgb(2, 2, 2)')
    edit(root, 'import.css', site['import.css'].replace('rgb(1, 1, 1)', 'rgb(4, 4, 4)'))
    await hasColour(page, 'h1', 'rgb(4, 4, 4)')
    assert.ok(await isUntouched(page))
    assert.deepEqual(page.complaints, [])
  })

  live('images are swapped in place: img, srcset, picture and backgrounds', async ({ root, open }) => {
    const page = await open('/')
    for (const name of ['plain', 'set', 'picture']) {
      edit(root, `${name}.svg`, square(20))
      await until(page, (name) => document.getElementById(name).naturalWidth === 20 && document.getElementById(name).complete, name)
    }
    const before = await page.evaluate(() => getComputedStyle(document.querySelector('#background')).backgroundImage)
    edit(root, 'background.svg', square(20))
    await until(page, (before) => getComputedStyle(document.querySelector('#background')).backgroundImage !== before, before)
    const url = await page.evaluate(() => getComputedStyle(document.querySelector('#background')).backgroundImage.slice(5, -2))
    assert.match(await page.evaluate((url) => fetch(url).then((answer) => answer.text()), url), /width="20"/)
    assert.ok(await isUntouched(page))
    assert.deepEqual(page.complaints, [])
  })

  live('a tab that is not concerned is left alone', async ({ root, server, open }) => {
    const [other, first] = [await open('/other/'), await open('/')]
    await other.bringToFront()
    const links = () => other.evaluate(() => [...document.querySelectorAll('link')].map((link) => link.outerHTML))
    const before = await links()
    edit(root, 'style.css', colour('rgb(2, 2, 2)'))
    edit(root, 'index.html', site['index.html'].replace('<title>first', '<title>second'))
    edit(root, 'other.css', `${colour('rgb(5, 5, 5)')}`)
    await hasColour(other, 'body', 'rgb(5, 5, 5)')
    await first.bringToFront()
    await hasTitle(first, 'second')
    await server.said(/index\.html.* -> \d tabs?, painted/)
    assert.ok(await isUntouched(other))
    assert.equal((await links()).length, before.length)
  })

  live('a page that changed is loaded again where it was scrolled to, once', async ({ root, server, open }) => {
    const page = await open('/')
    await page.evaluate(() => {
      history.scrollRestoration = 'manual'
      scrollTo(0, 1500)
      document.querySelector('section').scrollTop = 300
      document.querySelector('aside').scrollTop = 400
    })
    // Two files saved at once are one reload.
    edit(root, 'style.css', colour('rgb(2, 2, 2)'))
    edit(root, 'index.html', site['index.html'].replace('<title>first', '<title>second'))
    await hasTitle(page, 'second')
    await hasColour(page, 'body', 'rgb(2, 2, 2)')
    await until(page, () => scrollY === 1500)
    const inner = () => ['section', 'aside'].map((name) => document.querySelector(name).scrollTop).join()
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
    assert.equal(await page.evaluate(inner), '300,400')
    await server.said(/index\.html.* -> 1 tab, painted in \d+ ms/)
    assert.equal(await page.evaluate(() => sessionStorage.loads), '2')
    assert.deepEqual(page.complaints, [])
  })

  live('a page that is deleted shows its 404, and comes back with its file', async ({ root, open }) => {
    const page = await open('/strict.html')
    rmSync(path.join(root, 'strict.html'))
    await hasTitle(page, 'nothing here')
    edit(root, '404.html', site['404.html'].replace('<title>nothing', '<title>still nothing'))
    await hasTitle(page, 'still nothing here')
    edit(root, 'strict.html', site['strict.html'])
    await hasTitle(page, 'strict')
  })

  live('an edit before the stream opens is not lost, nor one while the tab is hidden', async ({ root, open }) => {
    const page = await open('/', pretendHidden)
    edit(root, 'style.css', colour('rgb(2, 2, 2)'))
    // The next answer that is new proves that the edit before it was heard of.
    await until(page, () => fetch('/style.css').then((answer) => answer.text()).then((text) => text.includes('rgb(2')))
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).color), 'rgb(1, 1, 1)')
    await page.evaluate(pretend, 'visible')
    await hasColour(page, 'body', 'rgb(2, 2, 2)')
    await page.evaluate(pretend, 'hidden')
    edit(root, 'style.css', colour('rgb(3, 3, 3)'))
    await until(page, () => fetch('/style.css').then((answer) => answer.text()).then((text) => text.includes('rgb(3')))
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).color), 'rgb(2, 2, 2)')
    await page.evaluate(pretend, 'visible')
    await hasColour(page, 'body', 'rgb(3, 3, 3)')
    assert.ok(await isUntouched(page))
  })

  live('a restart reloads nothing, and edits are heard of after it', async ({ root, server, open }) => {
    const page = await open('/')
    await server.restart()
    // Once the page has compared itself with what is served now, it knows that it is right.
    await server.said(/"HEAD \/ HTTP/)
    edit(root, 'style.css', colour('rgb(2, 2, 2)'))
    await hasColour(page, 'body', 'rgb(2, 2, 2)')
    assert.ok(await isUntouched(page))
  })

  for (const [name, content, title, value] of [
    ['index.html', site['index.html'].replace('<title>first', '<title>second'), 'second', 'rgb(1, 1, 1)'],
    ['style.css', colour('rgb(2, 2, 2)'), 'first', 'rgb(2, 2, 2)'],
  ]) {
    live(`an edit of ${name} during a restart is not lost`, async ({ root, server, open }) => {
      const page = await open('/')
      await server.restart(() => edit(root, name, content))
      await hasTitle(page, title)
      await hasColour(page, 'body', value)
    })
  }

  live('a problem covers no more than it must, is seen by those who come later, and goes', async ({ t, root, open }) => {
    const page = await open('/')
    const shown = () => document.querySelector('forerun-problem')?.getBoundingClientRect().height > 50
    edit(root, 'push.toml', 'these = [are not settings\n')
    await until(page, shown)
    if (process.env.FORERUN_SHOTS) await shootBoth(page, kind)
    await page.reload()
    await until(page, shown)
    const late = await open('/strict.html')
    await until(late, shown)
    assert.deepEqual(late.complaints, [])
    rmSync(path.join(root, 'push.toml'))
    await until(late, () => !document.querySelector('forerun-problem'))
    await page.bringToFront()
    await until(page, () => !document.querySelector('forerun-problem'))
    t.diagnostic('the overlay came and went')
  })

  live('a page whose policy is self is kept true as well', async ({ root, open }) => {
    const page = await open('/strict.html')
    edit(root, 'other.css', colour('rgb(2, 2, 2)'))
    await hasColour(page, 'body', 'rgb(2, 2, 2)')
    assert.ok(await isUntouched(page))
    assert.deepEqual(page.complaints, [])
  })

  live('what a page complains of is printed', async ({ server, open }) => {
    await open('/noisy.html')
    await server.said(/an error of ours \{"n":1\} \(\/?noisy\.js:1:\d+\)/)
    await server.said(/Error: thrown \(\/?noisy\.js:2:\d+\)/)
    await server.said(/Error: refused \(\/?noisy\.js:3:\d+\)/)
  })

  live(
    'seven tabs over HTTP/1.1 load, and each is kept true',
    async ({ root, server, browser, open }) => {
      const pages = []
      for (let number = 0; number < 7; number += 1) pages.push(await open('/'))
      assert.match(server.output, /HTTP\/1\.1" 200/)
      edit(root, 'style.css', colour('rgb(2, 2, 2)'))
      for (const page of pages) {
        await page.bringToFront()
        await hasColour(page, 'body', 'rgb(2, 2, 2)')
        assert.ok(await isUntouched(page))
      }
    },
    { flags: ['--disable-http2'], preferences: { 'network.http.http2.enabled': false } },
  )
}

async function shootBoth(page, kind) {
  for (const scheme of ['light', 'dark']) {
    if (!kind.isFirefox) await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
    await shoot(page, `${kind.isFirefox ? 'firefox' : 'chromium'}-${scheme}`)
  }
}

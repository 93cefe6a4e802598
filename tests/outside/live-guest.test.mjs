// The script of `forerun dev` is a guest in pages that are not its own: odd ones, and ones that look.

import assert from 'node:assert/strict'
import { chromium, firefox } from './lib/browser.mjs'
import { hasColour, hasTitle, isUntouched, liveIn, until } from './lib/live.mjs'
import { edit } from './lib/tools.mjs'

const colour = (value) => `body { color: ${value} }\n`
const square = (size) => `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}"><rect width="${size}" height="${size}" fill="teal"/></svg>`

const page = (title, rest) => `<!doctype html>
<html lang=en>
<meta charset=utf-8>
<title>${title}</title>
<link rel=icon href=/icon.svg>
${rest}`

const site = {
  'index.html': page('first', `<link rel=stylesheet href=/style.css><h1>first</h1>`),
  'sheets.html': page('sheets', `<link rel=stylesheet href="/style.css?a=1&b">
<link rel="alternate stylesheet" title=other href=/alternate.css>
<link rel=stylesheet href=/disabled.css disabled>
<style>@import "/import.css" screen;</style>
<h1 style="background: url('/tile.svg?x#y')">sheets</h1>`),
  'deep.html': page('deep', `<link rel=stylesheet href=/deep.css><h1>deep</h1>`),
  'deep.css': '@import "deeper.css";',
  'deeper.css': '@import "import.css"; body { color: rgb(4, 4, 4) }',
  'canvas.html': page('canvas', `<canvas></canvas>
<script>
  const image = new Image()
  image.onload = () => document.querySelector('canvas').getContext('2d').drawImage(image, 0, 0)
  image.src = '/tile.svg'
</script>`),
  'data.html': page('data', `<h1></h1>
<script type=module src=/data.js></script>`),
  'data.js': `import './fetch.js'`,
  'fetch.js': `document.querySelector('h1').textContent = (await (await fetch('/data.json')).json()).value`,
  'data.json': '{ "value": "one" }',
  'written.html': page('written', `<base href=https://elsewhere.example/>
<script>document.write('<link rel=stylesheet href=' + location.origin + '/written.css>')</script>`),
  'written.css': colour('rgb(1, 1, 1)'),
  'frames.html': page('frames', `<iframe src=/></iframe><iframe src=/sheets.html sandbox=allow-scripts></iframe>`),
  'looks.html': page('looks', `<script>
  const frame = document.documentElement.appendChild(document.createElement('iframe'))
  const usual = new Set(Object.getOwnPropertyNames(frame.contentWindow))
  frame.remove()
  window.strange = Object.getOwnPropertyNames(window).filter((name) => !usual.has(name))
  window.scripts = document.scripts.length
</script>`),
  'loud.html': page('loud', `<script>
  for (let number = 0; number < 200; number += 1) console.error(number, '\\ud800', 'x'.repeat(5000))
  const round = {}; round.round = round
  console.error(round, Symbol('s'), null, undefined, document.body)
</script>`),
  'icon.svg': square(8),
  'tile.svg': square(10),
  'style.css': colour('rgb(1, 1, 1)'),
  'alternate.css': colour('rgb(9, 9, 9)'),
  'disabled.css': colour('rgb(9, 9, 9)'),
  'import.css': 'h1 { color: rgb(1, 1, 1) }',
}

for (const kind of [chromium, firefox]) {
  const live = liveIn(kind, site)

  live('no element, no global and no complaint is left in a page', async ({ open }) => {
    const page = await open('/looks.html')
    assert.deepEqual(await page.evaluate(() => window.strange.filter((name) => name !== 'frame' && name !== 'usual')), [])
    assert.equal(await page.evaluate(() => window.scripts), 1)
    assert.deepEqual(page.complaints, [])
  })

  live('alternate, disabled and inline style sheets stay what they are', async ({ root, open }) => {
    const page = await open('/sheets.html')
    const links = () => page.$$eval('link[rel~=stylesheet]', (all) => all.map((link) => [link.rel, link.title, link.disabled, new URL(link.href).pathname]))
    const before = await links()
    for (const name of ['alternate', 'disabled']) edit(root, `${name}.css`, colour('rgb(8, 8, 8)'))
    edit(root, 'style.css', colour('rgb(2, 2, 2)'))
    await hasColour(page, 'body', 'rgb(2, 2, 2)')
    edit(root, 'import.css', 'h1 { color: rgb(2, 2, 2) }')
    await hasColour(page, 'h1', 'rgb(2, 2, 2)')
    edit(root, 'tile.svg', square(20))
    await until(page, () => /tile\.svg\?x&forerun=[\d.]+#y/.test(document.querySelector('h1').style.backgroundImage))
    await until(page, () => document.querySelectorAll('link[rel~=stylesheet]').length === 3)
    assert.deepEqual(await links(), before)
    assert.match(await page.$eval('link[rel=stylesheet]', (link) => link.href), /style\.css\?a=1&b&forerun=[\d.]+$/)
    assert.ok(await isUntouched(page))
    assert.deepEqual(page.complaints, [])
  })

  live('an import of an import is kept true as well', async ({ root, open }) => {
    const page = await open('/deep.html')
    for (const value of ['rgb(2, 2, 2)', 'rgb(3, 3, 3)']) {
      edit(root, 'import.css', `h1 { color: ${value} }`)
      await hasColour(page, 'h1', value)
      await hasColour(page, 'body', 'rgb(4, 4, 4)')
    }
  })

  live('a frame is kept true by itself, and one without an origin is left alone', async ({ root, open }) => {
    const page = await open('/frames.html')
    const [, frame] = page.frames()
    edit(root, 'style.css', colour('rgb(2, 2, 2)'))
    await hasColour(frame, 'body', 'rgb(2, 2, 2)')
    assert.ok(await isUntouched(page))
    assert.deepEqual(page.complaints, [])
  })

  live('what only a script asks for reloads the page that did, and no other', async ({ root, open }) => {
    const [canvas, data, other] = [await open('/canvas.html'), await open('/data.html'), await open('/')]
    const hasText = (text) => until(data, (text) => document.querySelector('h1').textContent === text, text)
    const isDrawn = (x) =>
      until(canvas, (x) => document.querySelector('canvas').getContext('2d').getImageData(x, x, 1, 1).data[3] === 255, x)
    await hasText('one')
    edit(root, 'data.json', '{ "value": "two" }')
    await data.bringToFront()
    await hasText('two')
    assert.ok(await isUntouched(canvas))
    await canvas.bringToFront()
    await isDrawn(5)
    edit(root, 'tile.svg', square(60))
    await isDrawn(50)
    for (const page of [data, other]) await page.bringToFront()
    // What they had to hear of, they have heard of with this.
    edit(root, 'style.css', colour('rgb(2, 2, 2)'))
    await hasColour(other, 'body', 'rgb(2, 2, 2)')
    assert.ok(await isUntouched(other))
  })

  live('what a script writes into a page is kept true, wherever its base leads', async ({ root, open }) => {
    const page = await open('/written.html')
    edit(root, 'written.css', colour('rgb(2, 2, 2)'))
    await hasColour(page, 'body', 'rgb(2, 2, 2)')
    assert.ok(await isUntouched(page))
  })

  live('twenty saves in a row end in the last of them', async ({ root, open }) => {
    const page = await open('/')
    for (let number = 1; number <= 20; number += 1) {
      edit(root, 'style.css', colour(`rgb(${number}, 0, 0)`))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await hasColour(page, 'body', 'rgb(20, 0, 0)')
    await until(page, () => document.querySelectorAll('link[rel=stylesheet]').length === 1)
    assert.ok(await isUntouched(page))
  })

  live('who comes back sees the page as it is on disk', async ({ root, open }) => {
    const page = await open('/')
    await page.goto(new URL('/canvas.html', page.url()).href)
    edit(root, 'style.css', colour('rgb(2, 2, 2)'))
    edit(root, 'index.html', site['index.html'].replace('<title>first', '<title>second'))
    // Unseen: a page follows what its scripts fetch.
    await until(page, async () => (await (await fetch('/', { referrerPolicy: 'no-referrer' })).text()).includes('second'))
    await page.goBack()
    await hasTitle(page, 'second')
    await hasColour(page, 'body', 'rgb(2, 2, 2)')
  })

  live('a page that never stops complaining is heard for a while', async ({ server, open }) => {
    await open('/loud.html')
    await server.said(/0 \ufffd x{400}/)
    const told = server.output.match(/^.*\d+ \ufffd x{400}.*$/gm)
    assert.ok(told.length <= 40, `${told.length} lines`)
    assert.ok(Math.max(...told.map((line) => line.length)) < 2400)
  })
}

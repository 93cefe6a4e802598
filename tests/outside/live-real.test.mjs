// `forerun dev` with sites that nobody made for this test, edited while they are open and scrolled.

import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { chromium, firefox } from './lib/browser.mjs'
import { offline, pythonRoot, themeRoot } from './lib/fixtures.mjs'
import { hasColour, isUntouched, liveIn, shoot, until } from './lib/live.mjs'
import { edit, scratch } from './lib/tools.mjs'

const python = pythonRoot()
const theme = themeRoot('startbootstrap-sb-admin-2')
const red = 'rgb(200, 0, 0)'
const green = 'rgb(0, 100, 0)'

const sites = [
  {
    name: 'Python documentation',
    lacks: python ? false : 'Debian package python3-doc is not installed',
    // Some hundred pages are as good as all.
    copy: () => copy(python, /^(_static|_images|tutorial|index\.html|library(\/(pathlib|filesys|os\.path)\.html)?$)/),
    page: 'library/pathlib.html',
    other: 'tutorial/classes.html',
    sheet: '_static/pydoctheme.css',
    rule: (colour) => `\ndiv.body h1 { color: ${colour} }\n`,
    // It is an import of an import of that sheet.
    imported: { name: '_static/classic.css', rule: (colour) => `\ndiv.body p { color: ${colour} }\n`, selector: 'div.body p' },
    image: '_images/pathlib-inheritance.png',
    replacement: '_images/turtle-star.png',
  },
  {
    name: 'startbootstrap-sb-admin-2',
    lacks: theme ? false : 'npm package startbootstrap-sb-admin-2 is not installed',
    copy: () => copy(theme, /^(?!scss|node_modules)/),
    page: 'index.html',
    other: 'charts.html',
    sheet: 'css/sb-admin-2.min.css',
    rule: (colour) => `\nh1.h3 { color: ${colour} !important }\n`,
    image: 'img/undraw_posting_photo.svg',
    replacement: 'img/undraw_rocket.svg',
  },
]

for (const site of sites) {
  for (const kind of [chromium, firefox]) {
    const live = liveIn(kind, site.copy, site.lacks)

    live(
      `${site.name}: what is edited is seen where the page is scrolled to`,
      async ({ root, server, open }) => {
        const shot = (page, name) => shoot(page, [site.name, kind.name, name].join(' ').replaceAll(/\W+/g, '-'))
        const read = (name) => readFileSync(path.join(root, name))
        const other = await open(`/${site.other}`)
        const page = await open(`/${site.page}`)
        const at = await scrollTo(page, site.image)
        await shot(page, '0 opened')

        edit(root, site.sheet, read(site.sheet) + site.rule(red))
        await hasColour(page, 'h1', red)
        await server.said(said(site.sheet))
        assert.equal(await page.evaluate(() => scrollY), at)
        await shot(page, '1 style')

        const width = (name) => until(page, ([name, was]) => {
          const image = [...document.images].find((image) => image.src.includes(name))
          return image.complete && image.naturalWidth > 0 && image.naturalWidth !== was && image.naturalWidth
        }, name)
        const before = await (await width([site.image, 0])).jsonValue()
        edit(root, site.image, read(site.replacement))
        const after = await (await width([site.image, before])).jsonValue()
        assert.notEqual(after, before)
        await server.said(said(site.image))
        assert.ok(await isUntouched(page), 'neither needs a reload')
        assert.equal(await page.evaluate(() => scrollY), at)
        await shot(page, '2 image')

        edit(root, site.page, `${read(site.page)}`.replace('</h1>', ' is edited</h1>'))
        await until(page, () => document.querySelector('h1')?.textContent.includes('is edited'))
        await server.said(said(site.page))
        await isScrolledTo(page, at)
        await hasColour(page, 'h1', red)
        await width([site.image, before])
        await shot(page, '3 text')

        edit(root, 'push.toml', '["/"]\npush = ["/style.css"\n')
        await until(page, () => document.querySelector('forerun-problem')?.getBoundingClientRect().height > 50)
        await server.said(/^push\.toml cannot be used\n {4}TOML parse error.*\n(?: {4}.*\n)+/m)
        await shot(page, '4 problem')
        rmSync(path.join(root, 'push.toml'))
        await until(page, () => !document.querySelector('forerun-problem'))
        await server.said(/^mended \(push\.toml cannot be used\)/m)
        assert.equal(server.output.match(/TOML parse error/g).length, 1, server.output)
        await isScrolledTo(page, at)

        // It was hidden all the time, hears of everything now, and uses nothing but the sheet.
        await other.bringToFront()
        await hasColour(other, 'h1', red)
        await shot(other, '5 other')
        assert.ok(await isUntouched(other))

        if (site.imported) {
          const { name, rule, selector } = site.imported
          await page.bringToFront()
          edit(root, name, read(name) + rule(green))
          await hasColour(page, selector, green)
          await server.said(said(name))
          await isScrolledTo(page, at)
        }
      },
      offline,
    )
  }
}

/** Copies the part of a site that a pattern of relative paths names, and what its links lead to. */
function copy(root, part) {
  const copied = path.join(scratch('site'), 'site')
  const filter = (file) => file === root || part.test(path.relative(root, file))
  cpSync(root, copied, { recursive: true, dereference: true, filter })
  return copied
}

const said = (name) => new RegExp(`^${name.replaceAll('.', '\\.')} -> 1 tab, painted in \\d+ ms$`, 'm')

/** Scrolls an image into the middle of the window, and returns where that is. */
const scrollTo = (page, name) =>
  page.evaluate((name) => {
    const image = [...document.images].find((image) => image.src.includes(name))
    image.scrollIntoView({ block: 'center', behavior: 'instant' })
    return scrollY
  }, name)

/** A page that was loaded again may lie between two pixels. */
const isScrolledTo = (page, at) => until(page, (at) => document.readyState === 'complete' && Math.abs(scrollY - at) < 1, at)

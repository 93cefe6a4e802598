// What a document links to, and what the disk holds for it: for crawling, by other means than the
// program's own.

import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const decode = (text) =>
  text.replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(parseInt(hex, 16))
    if (decimal) return String.fromCodePoint(Number(decimal))
    return entities[name] ?? whole
  })

/** The targets (path and query) of the same origin that a document names in `href` and `src`. */
export function linksOf(html, url) {
  const document = html.replaceAll(/<!--[\s\S]*?-->/g, '').replaceAll(/(<script\b[^>]*>)[\s\S]*?<\/script>/gi, '$1')
  const found = new Set()
  for (const tag of document.match(/<[a-z][^>]*>/gi) || []) {
    for (const [, double, single, bare] of tag.matchAll(/\s(?:href|src)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi)) {
      let target
      try {
        target = new URL(decode(double ?? single ?? bare).trim(), url)
      } catch {
        continue
      }
      if (target.origin === new URL(url).origin) found.add(target.pathname + target.search)
    }
  }
  return found
}

/** The status that a path of a site deserves by what is on disk, and the file that answers it. */
export function onDisk(root, target, { followSymlinks = false } = {}) {
  const pathname = new URL(target, 'https://site.invalid').pathname
  let name
  try {
    name = decodeURIComponent(pathname)
  } catch {
    return { status: 400 }
  }
  if (/\0|\\/.test(name)) return { status: 400 }
  if (name.split('/').some((part) => part.startsWith('.') && part !== '.well-known')) return { status: 404 }
  const file = path.join(root, name.endsWith('/') ? `${name}index.html` : name)
  try {
    lstatSync(file)
    const real = realpathSync(file)
    if (!followSymlinks && !real.startsWith(realpathSync(root) + path.sep)) return { status: 404 }
    const found = statSync(real)
    if (found.isDirectory()) return { status: 'redirect' }
    return found.isFile() ? { status: 200, file: real } : { status: 404 }
  } catch {
    return { status: 404 }
  }
}

/** The targets of all HTML files of a site, but for those of packages within it. */
export function pagesOf(root, target = '/') {
  const pages = []
  for (const entry of readdirSync(path.join(root, target), { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue
    const below = `${target}${entry.name}`
    if (entry.isDirectory()) pages.push(...pagesOf(root, `${below}/`))
    else if (entry.name.endsWith('.html')) pages.push(below.split('/').map(encodeURIComponent).join('/'))
  }
  return pages.sort()
}

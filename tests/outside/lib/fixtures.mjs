// Sites that the tests serve to more than one client.

import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { checkout } from './tools.mjs'

/** A page whose style sheet hides an import, which hides an image; and modules four levels deep. */
export const hidden = {
  'index.html': `<!doctype html>
<html lang=en>
<meta charset=utf-8>
<title>hidden</title>
<link rel=icon href=/icon.svg>
<link rel=stylesheet href=/style.css>
<script src=/classic.js></script>
<script type=module src=/modules/one.js></script>
<h1 class=hero>hidden</h1>
<p id=modules>waiting</p>`,
  'icon.svg': '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>',
  'style.css': '@import "/import.css"; body { color: rgb(1, 2, 3) }',
  'import.css': '.hero { background: rgb(4, 5, 6) } .never { background: url(/never.svg) }',
  'never.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'classic.js': 'window.classic = true',
  'modules/one.js': 'import { word } from "./two.js"; document.querySelector("#modules").textContent = word',
  'modules/two.js': 'export { word } from "./three.js"',
  'modules/three.js': 'export { word } from "./four.js"',
  'modules/four.js': 'export const word = "done"',
}

/** What the page of `hidden` needs before it is rendered or its script runs. */
export const hiddenNeeds = [
  '/classic.js', '/import.css', '/modules/four.js', '/modules/one.js', '/modules/three.js', '/modules/two.js', '/style.css',
]

/** Whether the page of `hidden` came out as it should; runs in the page. */
export function hiddenIsWhole() {
  return (
    getComputedStyle(document.body).color === 'rgb(1, 2, 3)' &&
    getComputedStyle(document.querySelector('.hero')).backgroundColor === 'rgb(4, 5, 6)' &&
    document.querySelector('#modules').textContent === 'done' &&
    window.classic === true
  )
}

/** The site that is served by default. */
export const ownSite = path.join(checkout, 'site')

/** The URL paths of its pages. */
export function ownPages(directory = ownSite, url = '/') {
  const pages = []
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) pages.push(...ownPages(path.join(directory, entry.name), `${url}${entry.name}/`))
    else if (entry.name === 'index.html') pages.push(url)
  }
  return pages.sort()
}

/** Where the Python documentation is, if Debian's package python3-doc is installed. */
export function pythonRoot() {
  const html = '/usr/share/doc/python3/html'
  return existsSync(`${html}/contents.html`) ? realpathSync(html) : undefined
}

/** Where the theme of an npm package is, if that is installed. */
export function themeRoot(name) {
  try {
    return path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
  } catch {
    return undefined
  }
}

/** Settings of browsers for real sites: fonts and pictures of other origins are not to be reached. */
export const offline = {
  flags: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost'],
  // A proxy that is not there, for all but this machine.
  preferences: {
    'network.proxy.type': 1,
    'network.proxy.http': '127.0.0.1',
    'network.proxy.http_port': 9,
    'network.proxy.ssl': '127.0.0.1',
    'network.proxy.ssl_port': 9,
  },
}

// node tests/bench/measure.mjs [LOADS]
//
// How many loads of a page of 30 resources are simulated per second and core on slow-4g, TLS
// included, with each delivery; and what memory that takes over 10,000 loads. Needs the release
// binary (or FORERUN_BIN).

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { binary, environment } from '../outside/lib/forerun.mjs'
import { scratch, writeSite } from '../outside/lib/tools.mjs'

const loads = Number(process.argv[2] || 10_000)
const GOAL = 200
const LOOK_MS = 100
const TICKS_A_SECOND = 100

const site = writeSite(page())
const deliveries = ['none', 'link', 'hints', 'push', 'push-all']

for (const delivery of deliveries) {
  // `none` is always among them.
  const each = Math.ceil(loads / 10 / (delivery === 'none' ? 1 : 2))
  const { rate } = await measure(each, ['--delivery', delivery])
  console.log(`${delivery}: ${rate.toFixed(0)} loads per second and core`)
}
const all = await measure(Math.ceil(loads / deliveries.length))
console.log(`${loads} loads with all of them: ${all.rate.toFixed(0)} per second and core (goal ${GOAL})`)
const at = (share) => all.resident_kb[Math.floor((all.resident_kb.length - 1) * share)] / 1024
console.log(`resident after a tenth of them ${at(0.1).toFixed(1)} MB, half ${at(0.5).toFixed(1)} MB, all ${at(1).toFixed(1)} MB`)

/** Loads so often with each delivery; one page over one link keeps one core busy. */
function measure(repeat, more = []) {
  const home = scratch('home')
  const args = ['measure', site, '--page', '/', '--link', 'slow-4g', '--repeat', String(repeat), ...more]
  const child = spawn(binary, args, { cwd: home, env: environment(home), stdio: ['ignore', 'ignore', 'inherit'] })
  const resident_kb = []
  let busy_s = 0
  const timer = setInterval(() => {
    try {
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ')
      busy_s = (Number(stat[11]) + Number(stat[12])) / TICKS_A_SECOND
      resident_kb.push(Number(readFileSync(`/proc/${child.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]))
    } catch {
      // It has just ended.
    }
  }, LOOK_MS)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      clearInterval(timer)
      if (code !== 0) return reject(new Error(`exit code ${code}`))
      const count = more.length === 0 ? deliveries.length : more[1] === 'none' ? 1 : 2
      resolve({ rate: (repeat * count) / busy_s, resident_kb })
    })
  })
}

/** A page of 30 resources: 4 style sheets, a font behind one, 8 scripts, 17 images. */
function page() {
  const text = (bytes, line) => line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes)
  const files = { 'font.woff2': Buffer.alloc(18_000, 7) }
  let head = ''
  let body = '<h1 class=r0>A page of 30 resources</h1>\n'
  for (let index = 0; index < 4; index++) {
    head += `<link rel=stylesheet href=/${index}.css>\n`
    files[`${index}.css`] = text(6000, `.r${index} { color: #123456; margin: 0 auto }\n`)
  }
  files['0.css'] = `@font-face { font-family: F; src: url(/font.woff2) }\nh1 { font-family: F }\n${files['0.css']}`
  for (let index = 0; index < 8; index++) {
    head += `<script src=/${index}.js${index < 2 ? '' : ' defer'}></script>\n`
    files[`${index}.js`] = text(5000, `function f${index}(x) { return x + ${index} }\n`)
  }
  for (let index = 0; index < 17; index++) {
    body += `<p>${text(400, 'lorem ipsum dolor sit amet ')}<img src=/${index}.png width=100 height=50>\n`
    files[`${index}.png`] = Buffer.alloc(4000, index + 1)
  }
  files['index.html'] = `<!doctype html>\n<html lang=en><head><title>30</title>\n${head}</head><body>\n${body}</body></html>\n`
  return files
}

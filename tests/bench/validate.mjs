// node tests/bench/validate.mjs [--pages 10] [--links 3] [--runs 7] [--client-delay MS]
//                               [--save FILE] [--real FILE] [--simulated FILE|none]
//
// How right `forerun measure` is: page loads of Chromium 103, which takes pushes, over an emulated
// link between two network namespaces, beside the simulated loads of the same pages over the same
// links, with nothing sent ahead and with pushes. Needs root, /dev/net/tun, a C compiler, what
// tests/run installs, and the release binary (or FORERUN_BIN).
//
// `--save` keeps both halves in a file; `--real` and `--simulated` take a half from such a file
// instead of making it, so that a change of the simulator is judged in seconds; `--simulated none`
// prints the real half alone. Exit code 2: it could not be done, and the last line says why.

import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { lacksLink, withLink } from './link/link.mjs'
import { DELIVERIES, lacksReal, loadAll, PAGES } from './validate/real.mjs'
import { simulateAll, simulatedOf } from './validate/simulated.mjs'
import { error, median, quantile, signs, spearman, spread } from './validate/statistics.mjs'

// Cable, slow 4G and 4G as WebPageTest has them, with the queue of its shaper: 100 packets.
const LINKS = [
  'rtt=28ms,down=5M,up=1M,queue=150k',
  'rtt=150ms,down=1.6M,up=750k,queue=150k',
  'rtt=170ms,down=9M,up=9M,queue=150k',
]
// What tests/bench/client_delay.mjs measured, before the first comparison; not fitted to one.
const CLIENT_DELAY_MS = '14'
const METRICS = { load_ms: 'load', first_render_ms: 'first render' }
// Differences below this share are noise in most studies (Bergan and others, 2016).
const BAND = 0.03

const options = {
  pages: { type: 'string', default: '10' },
  links: { type: 'string', default: '3' },
  runs: { type: 'string', default: '7' },
  'client-delay': { type: 'string', default: CLIENT_DELAY_MS },
  save: { type: 'string' },
  real: { type: 'string' },
  simulated: { type: 'string' },
}

try {
  await validate(parseArgs({ options }).values)
} catch (error) {
  console.error(`cannot validate: ${error.message}`)
  process.exit(2)
}

async function validate(values) {
  const kept = (file) => JSON.parse(readFileSync(file, 'utf8'))
  const real = values.real ? kept(values.real).real : await loadReal(values)
  if (values.save) writeFileSync(values.save, JSON.stringify({ real }))
  printNoise(real)
  if (values.simulated === 'none') return printReal(real)

  const printed = values.simulated ? kept(values.simulated).simulated : await simulate(real, values)
  if (values.save) writeFileSync(values.save, JSON.stringify({ real, simulated: printed }))
  const cells = real.cells.map((cell) => ({ ...cell, simulated: simulatedOf(printed, cell) }))
  for (const metric of Object.keys(METRICS)) printComparison(cells, metric)
}

async function loadReal(values) {
  const lacks = lacksReal() || (await lacksLink())
  if (lacks) throw new Error(lacks)
  const take = (list, count) => list.slice(0, Number(count))
  const wanted = { pages: take(PAGES, values.pages), links: take(LINKS, values.links), runs: Number(values.runs) }
  if (!(wanted.pages.length > 0 && wanted.links.length > 0 && wanted.runs > 0)) throw new Error('nothing to load')
  return withLink(async (link) => {
    const cells = await loadAll(link, wanted, (what) => console.error(what))
    return { cells, link: await link.report() }
  })
}

function simulate({ cells }, values) {
  const distinct = (of) => [...new Map(cells.map((cell) => [JSON.stringify(of(cell)), of(cell)])).values()]
  return simulateAll({
    pages: distinct(({ site, target }) => ({ site, target })),
    links: distinct(({ link }) => link),
    deliveries: DELIVERIES,
    clientDelay_ms: Number(values['client-delay']),
  })
}

function printNoise({ cells, link }) {
  const spreads = cells.map((cell) => spread(cell.load_ms))
  console.log(`${cells.length} cells of ${cells[0].load_ms.length} real loads each; interquartile range of load ` +
    `${percent(median(spreads))} of the median in the middle, ${percent(Math.max(...spreads))} at most`)
  console.log(`link: ${link.packets} packets, ${link.overflowed} found the queue full; ` +
    `${link.late_mean_ms.toFixed(2)} ms late, ${link.late_max_ms.toFixed(1)} ms at most`)
}

function printReal({ cells }) {
  table(['page', 'link', 'delivery', 'load ms', 'IQR', 'first render ms', 'IQR', 'requests'], cells.map((cell) => [
    `${cell.site} ${cell.target}`, linkName(cell), cell.delivery,
    median(cell.load_ms).toFixed(0), percent(spread(cell.load_ms)),
    median(cell.first_render_ms).toFixed(0), percent(spread(cell.first_render_ms)), median(cell.requests).toFixed(0),
  ]))
}

function printComparison(cells, metric) {
  console.log(`\n${METRICS[metric]}:`)
  const pairs = cells.map((cell) => ({ cell, real: median(cell[metric]), simulated: cell.simulated[metric] }))
  table(['page', 'link', 'delivery', 'real ms', 'IQR', 'simulated ms', 'error'], pairs.map((pair) => [
    `${pair.cell.site} ${pair.cell.target}`, linkName(pair.cell), pair.cell.delivery, pair.real.toFixed(0),
    percent(spread(pair.cell[metric])), pair.simulated.toFixed(0), percent(error(pair)),
  ]))

  const say = (name, some) => {
    const sizes = some.map((pair) => Math.abs(error(pair)))
    console.log(`${name}: Spearman ${spearman(some).toFixed(3)}, median error ${percent(median(sizes))}, ` +
      `p90 ${percent(quantile(sizes, 0.9))}, bias ${percent(median(some.map(error)))}`)
  }
  for (const link of new Set(cells.map((cell) => cell.link))) {
    say(linkName({ link }), pairs.filter((pair) => pair.cell.link === link))
  }
  say(`all ${pairs.length} cells`, pairs)
  console.log('goal 0.9 and 15 %; Lantern, the best published simulator: 0.785 and 28 %')

  const differences = pairs.filter(({ cell }) => cell.delivery === 'none').map((none) => {
    const same = ({ cell }) => cell.site === none.cell.site && cell.target === none.cell.target && cell.link === none.cell.link
    const push = pairs.find((pair) => same(pair) && pair.cell.delivery === 'push')
    return { real: push.real - none.real, simulated: push.simulated - none.simulated, none: none.real }
  })
  const [clear, all] = [signs(differences, BAND), signs(differences, 0)]
  console.log(`push against none, same sign: ${clear.agree} of ${clear.of} where the real difference is at least ` +
    `${percent(BAND)}, ${all.agree} of all ${all.of}`)
}

function linkName({ link }) {
  return link.replace(/,queue=\w+/, '')
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`
}

function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)))
  const isNumber = (column) => /^-?\d/.test(rows[0][column])
  for (const row of [head, ...rows]) {
    const cells = row.map((text, column) => text[isNumber(column) ? 'padStart' : 'padEnd'](widths[column]))
    console.log(`  ${cells.join('  ')}`.trimEnd())
  }
}

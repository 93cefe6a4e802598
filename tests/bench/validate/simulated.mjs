// The simulated half: `forerun measure` on the same pages, links and deliveries.

import { forerun } from '../../outside/lib/forerun.mjs'
import { parseLink } from '../link/link.mjs'
import { SITES } from './real.mjs'

const MEASURE_MS = 600_000

/** Runs `forerun measure` for each site; returns what it printed: `{ site: JSON }`. */
export async function simulateAll({ pages, links, deliveries, clientDelay_ms }) {
  const printed = {}
  for (const site of new Set(pages.map((page) => page.site))) {
    const each = (option, values) => values.flatMap((value) => [option, value])
    const { root, args } = SITES[site]
    const { code, stdout, stderr } = await forerun(
      ['measure', root, ...args, '--json', '--client', 'chromium-103', '--client-delay', `${clientDelay_ms}ms`,
        ...each('--page', pages.filter((page) => page.site === site).map((page) => page.target)),
        ...each('--link', links), ...each('--delivery', deliveries)],
      { deadline_ms: MEASURE_MS },
    )
    if (code !== 0) throw new Error(`forerun measure failed (${code}): ${stderr.trim()}`)
    printed[site] = JSON.parse(stdout)
  }
  return printed
}

/**
 * The one place that knows what `forerun measure --json` prints: `{ load_ms, first_render_ms }` of a
 * cell `{ site, target, link, delivery }`, or an error that names it.
 */
export function simulatedOf(printed, { site, target, link, delivery }) {
  const cell = printed[site]?.cells.find((cell) => cell.page === pageOf(target) && cell.visit === 'first' && isLink(cell.link, link))
  const row = cell?.deliveries.find((row) => row.delivery === delivery)
  if (!row) throw new Error(`forerun measure printed nothing of ${site} ${target}, ${link}, ${delivery}`)
  if (row.timeline.failure) throw new Error(`forerun measure, ${site} ${target}, ${link}, ${delivery}: ${row.timeline.failure}`)
  return { load_ms: row.load_ms.p50, first_render_ms: row.first_render_ms.p50 }
}

/** A directory stands for its index. */
function pageOf(target) {
  return target.replace(/\/index\.html$/, '/')
}

/** No two links of a comparison agree in both. */
function isLink(found, asked) {
  const { rtt, down } = parseLink(asked)
  return Math.round(found.round_trip_ms) === Math.round(rtt * 1e3) && found.down_bits_per_second === down
}

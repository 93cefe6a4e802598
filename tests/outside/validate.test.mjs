// The short form of tests/bench/validate.mjs: that it works, not how right the simulator is.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { lacksLink } from '../bench/link/link.mjs'
import { lacksReal } from '../bench/validate/real.mjs'
import { simulatedOf } from '../bench/validate/simulated.mjs'
import { checkout, run, scratch } from './lib/tools.mjs'

const PAGES = 3
const RUNS = 3
const VALIDATE_MS = 300_000

const skip = lacksReal() || (await lacksLink())
const options = { skip, timeout: VALIDATE_MS + 10_000 }

test('what is simulated can be held against Chromium 103 on an emulated link', options, async (t) => {
  const kept = path.join(scratch('validate'), 'kept.json')
  const program = path.join(checkout, 'tests/bench/validate.mjs')
  const short = ['--pages', `${PAGES}`, '--links', '1', '--runs', `${RUNS}`]
  const { code, stdout, stderr } = await run(process.execPath, [program, ...short, '--save', kept], { deadline_ms: VALIDATE_MS })
  assert.equal(code, 0, stderr)

  const { real, simulated } = JSON.parse(readFileSync(kept, 'utf8'))
  assert.equal(real.cells.length, 2 * PAGES)
  for (const cell of real.cells) {
    const name = `${cell.site} ${cell.target} ${cell.delivery}`
    for (const metric of ['load_ms', 'first_render_ms']) {
      assert.equal(cell[metric].length, RUNS, name)
      const errors = cell[metric].map((real) => simulatedOf(simulated, cell)[metric] / real - 1)
      assert.ok(errors.every(Number.isFinite), `${name}: ${metric}: errors ${errors}`)
    }
  }
  const asked = (delivery) =>
    real.cells.filter((cell) => cell.delivery === delivery).reduce((sum, cell) => sum + Math.max(...cell.requests), 0)
  assert.ok(asked('push') < asked('none'), 'what was pushed is not asked for')

  const said = stdout.split('\n').filter((line) => /median error|^link:|same sign/.test(line))
  assert.ok(said.some((line) => /^all 6 cells: Spearman [-\d.]+, median error [\d.]+ %/.test(line)), stdout)
  for (const line of said) t.diagnostic(line)
})

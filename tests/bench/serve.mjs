// node tests/bench/serve.mjs [ROUNDS] [SECONDS]
//
// What serving costs, beside nginx, h2o and nghttpd as Debian packages them: processor time of the
// server, user and system, for a request, a gigabyte and a handshake; from start to first answer, of
// a directory of 100,000 files too; and what a second core adds. Rounds are interleaved, and medians
// printed: compare within one run only. Needs the release binary (or FORERUN_BIN), and two cores,
// one for the server and one for the load; have the machine idle, or be root and set REAL_TIME=1,
// so that what else runs hardly disturbs.

import { randomBytes } from 'node:crypto'
import os from 'node:os'
import { edit, scratch, writeSite } from '../outside/lib/tools.mjs'
import { cost, firstAnswer_ms, handshakeCost } from './serve/load.mjs'
import { Peer, identity as makeIdentity, lacking, names, programs } from './serve/peers.mjs'
import { median } from './validate/statistics.mjs'

const rounds = Number(process.argv[2] || 3)
const window_s = Number(process.argv[3] || 2)
const STARTS = 5
const SERVER = '0'
const LOAD = '1'
const ALL = `0-${os.cpus().length - 1}`
const FILES = 100_000
const FILES_A_DIRECTORY = 1_000

const MB = 1 << 20
const files = {
  'tiny.txt': Buffer.alloc(128, 'forerun\n'),
  '10k.html': `<!doctype html><title>10 kB</title>\n${'<p>lorem ipsum dolor sit amet\n'.repeat(340)}`.slice(0, 10_240),
  '100k.js': 'function f(a, b) { return a * 3 + b }\n'.repeat(2_700).slice(0, 102_400),
  '1m.bin': randomBytes(MB),
  '10m.bin': randomBytes(10 * MB),
}
/** What is measured: how, and in what it is told. */
const parts = [
  { name: '128 B, µs a request', target: '/tiny.txt', probe: 4_000 },
  { name: '128 B, one in flight, µs', target: '/tiny.txt', probe: 2_000, streams: 1 },
  { name: '10 kB, µs a request', target: '/10k.html', probe: 3_000 },
  { name: '100 kB, µs a request', target: '/100k.js', probe: 600 },
  { name: '1 MB, µs a request', target: '/1m.bin', probe: 80 },
  { name: '10 MB, s a GB', target: '/10m.bin', probe: 10, streams: 2, scale: 1e9 / (10 * MB) },
  { name: 'handshake, µs', target: '/tiny.txt', together: 100 },
]

const lacks = lacking()
if (lacks || os.cpus().length < 2) {
  console.error(`cannot measure: ${lacks || 'there is one core only'} (${programs.join(', ')})`)
  process.exit(2)
}
const identity = await makeIdentity()
const site = writeSite(files)

const table = await compared()
print(['', ...names], table)
console.log()
print(['start to first answer, ms', ...names], [await starts('5 files', site, '/tiny.txt'), await starts('100,000 files', manyFiles(), '/50/500.txt')])
console.log()
await cores()

/** Rows of medians, a server in each column. */
async function compared() {
  const found = new Map(parts.map(({ name }) => [name, names.map(() => [])]))
  const peers = []
  try {
    for (const name of names) peers.push(await Peer.start(name, { site, identity, cores: SERVER }))
    for (const peer of peers) await firstAnswer_ms(peer, '/tiny.txt')
    for (let round = 0; round < rounds; round++) {
      for (const part of parts) {
        for (const index of names.keys()) {
          // No server always follows the same one.
          const at = (index + round) % names.length
          const measure = part.together ? handshakeCost : cost
          const { each_s } = await measure(peers[at], { ...part, cores: LOAD }, window_s)
          found.get(part.name)[at].push(each_s * (part.scale ?? 1e6))
        }
      }
    }
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()))
  }
  return [...found].map(([name, columns]) => [name, ...columns.map((numbers) => short(median(numbers)))])
}

/** A row of what starting takes. */
async function starts(name, root, target) {
  const columns = names.map(() => [])
  for (let start = 0; start < STARTS; start++) {
    for (const [at, name] of names.entries()) {
      const peer = await Peer.start(name, { site: root, identity, cores: SERVER })
      try {
        columns[at].push(await firstAnswer_ms(peer, target))
      } finally {
        await peer.stop()
      }
    }
  }
  return [name, ...columns.map((numbers) => median(numbers).toFixed(0))]
}

function manyFiles() {
  const root = scratch('many')
  for (let index = 0; index < FILES; index++) {
    edit(root, `${Math.floor(index / FILES_A_DIRECTORY)}/${index % FILES_A_DIRECTORY}.txt`, `${index}\n`)
  }
  return root
}

/**
 * What a second core adds. The load has no core of its own then, so what is compared is what a
 * request costs: cores that stand in each other's way take longer for it.
 */
async function cores() {
  const [one, two] = [[], []]
  for (let round = 0; round < rounds; round++) {
    for (const [cores, costs] of [[SERVER, one], ['0,1', two]]) {
      const peer = await Peer.start('forerun', { site, identity, cores })
      try {
        await firstAnswer_ms(peer, '/tiny.txt')
        const part = { ...parts[0], connections: 20, cores: ALL }
        costs.push((await cost(peer, part, window_s)).each_s * 1e6)
      } finally {
        await peer.stop()
      }
    }
  }
  const gain = (2 * median(one)) / median(two)
  console.log(`128 B on one core ${short(median(one))} µs a request, on two ${short(median(two))}: two do ${gain.toFixed(2)} times as much`)
}

function short(number) {
  return number >= 100 ? number.toFixed(0) : number.toPrecision(3)
}

function print(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  console.log([line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n'))
}

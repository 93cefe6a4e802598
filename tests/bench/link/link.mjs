// An emulated link between two network namespaces, for real programs with the kernel's own TCP.
//
//   await withLink(async (link) => {
//     await link.set('rtt=150ms,down=1.6M,up=750k,queue=64k,loss=1%')
//     spawn(...)  with `[...link.server, program]` at link.address, `[...link.client, program]` to reach it
//   })
//
// Nothing outside the two namespaces is touched, and nothing has a name: both vanish with the
// process that is the link and with those at its ends, and all these end with this one, killed or not.

import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { missing, scratch, within } from '../../outside/lib/tools.mjs'

const SOURCE = path.join(path.dirname(fileURLToPath(import.meta.url)), 'emulate.c')
const ANSWER_MS = 10_000
const QUIET_MS = 50
const SERVER = '10.99.0.1'
const CLIENT = '10.99.0.2'
// The one congestion control that every kernel lends to a namespace, whatever the machine's own is.
const CONGESTION = 'reno'
// 100 packets, as the shaper of WebPageTest has.
const QUEUE_BYTES = 150_000
const UNITS = { ms: 1e-3, s: 1, '%': 1e-2, k: 1e3, M: 1e6, G: 1e9, '': 1 }

/** Returns why there can be no link here, or `false`. */
export async function lacksLink() {
  if (process.getuid?.() !== 0) return 'an emulated link takes root'
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
  } catch {
    return 'an emulated link takes /dev/net/tun'
  }
  const lacks = missing('cc', 'nsenter', 'setpriv')
  if (lacks) return lacks
  return withLink(() => false).catch((error) => error.message)
}

/** Makes a link without limits, runs `use(link)`, and takes it away. */
export async function withLink(use) {
  const link = await Link.make()
  try {
    return await use(link)
  } finally {
    await link.end()
  }
}

/**
 * Reads `rtt=150ms,down=1.6M,up=750k,queue=64k,loss=1%`: seconds, bits per second (absent: no limit),
 * bytes, a fraction. `down` is towards the client; queue and loss are those of each direction.
 */
export function parseLink(text) {
  const link = { rtt: 0, down: 0, up: 0, queue: QUEUE_BYTES, loss: 0 }
  for (const part of text.split(',')) {
    const [, name, number, unit] = part.match(/^(\w+)=([\d.]+)([a-zA-Z%]*)$/) ?? []
    if (!(name in link) || !(unit in UNITS)) throw new Error(`${text}: not understood: ${part}`)
    link[name] = Number(number) * UNITS[unit]
  }
  return link
}

const nothingSeen = () => ({ packets: 0, overflowed: 0, lost: 0, late_us: 0, late_us_max: 0 })

class Link {
  /** Where the server listens. */
  address = SERVER
  #process
  #ended
  #lines
  #complaint = ''
  #seen = nothingSeen()

  static async make() {
    const program = path.join(scratch('link'), 'emulate')
    const built = spawnSync('cc', ['-O2', '-o', program, SOURCE])
    if (built.status !== 0) throw new Error(`cannot build emulate.c: ${built.stderr}`)
    const link = new Link()
    link.#process = spawn(program, [CONGESTION, SERVER, CLIENT])
    link.#process.stderr.on('data', (bytes) => (link.#complaint += bytes))
    link.#process.stdin.on('error', () => {})
    link.#ended = new Promise((resolve) => link.#process.on('close', resolve))
    link.#lines = readline.createInterface({ input: link.#process.stdout })[Symbol.asyncIterator]()
    const [, server, client] = (await link.#answer()).split(' ')
    const at = (namespace) => ['nsenter', `--net=${namespace}`, 'setpriv', '--pdeathsig', 'TERM']
    /** Words to put before a command, so that it runs at this end and ends with this process. */
    link.server = at(server)
    link.client = at(client)
    await link.set('rtt=0ms')
    return link
  }

  /** Changes the link, for packets from now on; the same seed loses the same packets. */
  async set(text, seed = 1) {
    const { rtt, down, up, queue, loss } = parseLink(text)
    const direction = async (name, bits, seed) => {
      const numbers = [(rtt / 2) * 1e6, bits, queue, loss * 1e6].map(Math.round)
      this.#process.stdin.write(`${name} ${numbers.join(' ')} ${seed}\n`)
      await this.#answer()
    }
    await direction('down', down, 2 * seed)
    await direction('up', up, 2 * seed + 1)
  }

  /** Waits until nothing has passed for a while. */
  async quiet() {
    do {
      await setTimeout(QUIET_MS)
    } while (await this.#look() > 0)
  }

  /**
   * What passed since the last report, both directions together: packets, those that found the queue
   * full, those that were lost, and how late packets came by the machine's being busy.
   */
  async report() {
    await this.#look()
    const { late_us, late_us_max, ...counts } = this.#seen
    this.#seen = nothingSeen()
    return { ...counts, late_mean_ms: late_us / Math.max(1, counts.packets) / 1e3, late_max_ms: late_us_max / 1e3 }
  }

  /** Adds what passed since the last look, and returns how many packets that were. */
  async #look() {
    this.#process.stdin.write('report\n')
    const before = this.#seen.packets
    for (const [way] of (await this.#answer()).matchAll(/\d[\d ]*/g)) {
      const [packets, overflowed, lost, late_us_mean, late_us_max] = way.trim().split(' ').map(Number)
      this.#seen.packets += packets
      this.#seen.overflowed += overflowed
      this.#seen.lost += lost
      this.#seen.late_us += packets * late_us_mean
      this.#seen.late_us_max = Math.max(this.#seen.late_us_max, late_us_max)
    }
    return this.#seen.packets - before
  }

  async #answer() {
    const { done, value } = await within(ANSWER_MS, 'an answer of the link', this.#lines.next())
    if (!done) return value
    await this.#ended
    throw new Error(this.#complaint.trim() || 'the link has ended')
  }

  /** Takes the link away; whatever still runs at its ends has no network from now on. */
  async end() {
    this.#process.stdin.end()
    await within(ANSWER_MS, 'the end of the link', this.#ended)
  }
}

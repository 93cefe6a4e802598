// node tests/bench/reload.mjs [SAVES] [TABS]
//
// How long it takes from a save's last system call until the event is on the wire, on a site of
// 1,000 files, and what an idle stream costs in memory. Needs the release binary (or FORERUN_BIN).

import http2 from 'node:http2'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { withDev } from '../outside/lib/forerun.mjs'
import { writeSite } from '../outside/lib/tools.mjs'

const saves = Number(process.argv[2] || 40)
const tabs = Number(process.argv[3] || 1000)
const STREAMS_A_CONNECTION = 100
const SETTLE_MS = 20

const names = Array.from({ length: 999 }, (_, index) => `files/${index}.css`)
const links = names.slice(0, 500).map((name) => `<link rel=stylesheet href=/${name}>`).join('\n')
const site = writeSite({
  'index.html': `<!doctype html><title>1,000 files</title>\n${links}\n<p>text`,
  ...Object.fromEntries(names.map((name) => [name, `.x { color: #${name.length}${name.length}${name.length} }`])),
})

await withDev(site, [], async (server) => {
  const connect = () => http2.connect(server.origin, { ca: readFileSync(server.authority) })
  const session = connect()
  await get(session, '/')
  const events = listen(session)
  await events.next('id:')

  const took = []
  for (let save = 0; save < saves; save++) {
    const heard = events.next('event: change')
    const file = openSync(path.join(site, names[save % 500]), 'w')
    writeSync(file, `.x { color: #00000${save % 10} } /* ${save} */`)
    closeSync(file)
    const saved = performance.now()
    took.push((await heard) - saved)
    // The next save is one of its own, not a part of this one's batch.
    await events.next('', 60)
  }
  took.sort((a, b) => a - b)
  const at = (share) => took[Math.min(took.length - 1, Math.floor(took.length * share))].toFixed(1)
  console.log(`save to event, ${saves} saves, 1,000 files: median ${at(0.5)} ms, p90 ${at(0.9)} ms`)
  console.log(`settle time ${SETTLE_MS} ms, so beyond it: median ${(at(0.5) - SETTLE_MS).toFixed(1)} ms`)

  const sessions = [session]
  while (sessions.length < Math.ceil(tabs / STREAMS_A_CONNECTION) + 1) sessions.push(connect())
  for (const each of sessions) await get(each, '/')
  const before = resident(server.child.pid)
  const streams = Array.from({ length: tabs }, (_, index) =>
    listen(sessions[1 + Math.floor(index / STREAMS_A_CONNECTION)]))
  await Promise.all(streams.map((stream) => stream.next('id:')))
  const after = resident(server.child.pid)
  console.log(`${tabs} idle streams on ${sessions.length - 1} connections: ${((after - before) / tabs).toFixed(1)} kB each`)
  const told = Promise.all(streams.map((stream) => stream.next('event: change')))
  const file = openSync(path.join(site, names[0]), 'w')
  writeSync(file, '.x { color: red }')
  closeSync(file)
  const saved = performance.now()
  await told
  console.log(`a change told to all ${tabs}: ${(performance.now() - saved).toFixed(0)} ms`)
  for (const each of sessions) each.destroy()
})

function get(session, target) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': target, 'sec-fetch-dest': 'document' })
    stream.on('error', reject).on('end', resolve).resume()
  })
}

/** Opens a stream of events; `next` waits for a line that begins so, or for as long as it may. */
function listen(session) {
  const stream = session.request({ ':path': '/.forerun/events' })
  let waiting = []
  let rest = ''
  stream.setEncoding('utf8').on('data', (text) => {
    const now = performance.now()
    // A line may come in two pieces.
    const lines = (rest + text).split('\n')
    rest = lines.at(-1)
    waiting = waiting.filter(({ start, resolve }) => {
      const found = start && lines.some((line) => line.startsWith(start))
      if (found) resolve(now)
      return !found
    })
  })
  stream.on('error', () => {})
  return {
    next: (start, most_ms) =>
      new Promise((resolve) => {
        waiting.push({ start, resolve })
        if (most_ms) setTimeout(resolve, most_ms)
      }),
  }
}

function resident(pid) {
  return Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1])
}

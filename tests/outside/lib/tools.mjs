// What the tests stand on: programs of the machine, directories that vanish, deadlines.

import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the checkout. */
export const checkout = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..')

/** Where downloads and what is unpacked from them stay between runs, outside the checkout. */
export const cache = path.join(
  process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'),
  'forerun-tests',
)

/** Returns a reason to skip a test if one of the programs cannot be had, else `false`. */
export function missing(...programs) {
  for (const program of programs) {
    const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program]).status === 0
    if (!found) return `${program} is not installed`
  }
  return false
}

const scratches = []
process.on('exit', () => {
  for (const directory of scratches) rmSync(directory, { recursive: true, force: true })
})

/** Makes an empty directory that is removed when the test file ends. */
export function scratch(name = 'scratch') {
  const directory = mkdtempSync(path.join(os.tmpdir(), `forerun-${name}-`))
  scratches.push(directory)
  return directory
}

/** Writes a site from `{ 'path/in/site': content }` and returns its root. */
export function writeSite(files) {
  const root = path.join(scratch('site'), 'site')
  mkdirSync(root)
  for (const [name, content] of Object.entries(files)) edit(root, name, content)
  return root
}

/** Writes one file of a site. */
export function edit(root, name, content) {
  const file = path.join(root, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, content)
}

/** Runs a program to its end; a run past its deadline is an error. */
export function run(program, args, { deadline_ms = 20_000, input, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const stdin = input === undefined ? 'ignore' : 'pipe'
    const child = spawn(program, args, { stdio: [stdin, 'pipe', 'pipe'], ...options })
    if (input !== undefined) child.stdin.end(input)
    const out = []
    const err = []
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${program} ${args.join(' ')}: not done after ${deadline_ms} ms`))
    }, deadline_ms)
    child.stdout.on('data', (bytes) => out.push(bytes))
    child.stderr.on('data', (bytes) => err.push(bytes))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const stdout = Buffer.concat(out)
      resolve({ code, signal, bytes: stdout, stdout: `${stdout}`, stderr: `${Buffer.concat(err)}` })
    })
  })
}

/** Rejects with `what` if the promise has not settled in time. */
export function within(deadline_ms, what, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not after ${deadline_ms} ms`)), deadline_ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

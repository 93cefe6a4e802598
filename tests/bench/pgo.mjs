// node tests/bench/pgo.mjs
//
// Builds a release that is laid out for what it does (profile-guided optimisation): one that counts what is run, a load
// for it, and one that is made of the counts; its path is printed. The load is the built-in site and files of many
// sizes, not what `serve.mjs` measures. Takes as long as two release builds. Needs `h2load` and `nghttp` (Debian's
// nghttp2-client), and `llvm-profdata` of the LLVM that rustc has: `rustup component add llvm-tools`, or Debian's
// llvm-NN.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { checkout, missing, run, scratch, writeSite } from '../outside/lib/tools.mjs'
import { started } from './started.mjs'

const LOAD_MS = 120_000
const kB = 1 << 10

const target = path.join(checkout, 'target/pgo')
const told = Object.fromEntries(Array.from(output('rustc', ['-vV']).matchAll(/^(.+): (.+)$/gm), ([, name, value]) => [name, value]))
const profdata = profdataTool()
const lacks = missing('h2load', 'nghttp')
if (lacks || !profdata) {
  const llvm = told['LLVM version'].split('.')[0]
  console.error(`cannot build: ${lacks || `no llvm-profdata for LLVM ${llvm}: rustup component add llvm-tools, or apt install llvm-${llvm}`}`)
  process.exit(2)
}

const counts = path.join(target, 'counts')
const profile = path.join(target, 'profile')
rmSync(counts, { recursive: true, force: true })

say('building a server that counts what is run')
const counting = build('counting', `-Cprofile-generate=${counts}`)
say('loading it')
await load(path.join(checkout, 'site'), 4_000)
await load(filesOfManySizes(), 400)
output(profdata, ['merge', '-o', profile, ...readdirSync(counts).map((name) => path.join(counts, name))])
say('building the server anew, from what it has counted')
const binary = path.join(target, 'forerun')
copyFileSync(build('release', `-Cprofile-use=${profile}`), binary)
say(path.relative(process.cwd(), binary))

function say(what) {
  console.log(`pgo: ${what}`)
}

function output(program, words) {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${stderr}`)
  return stdout
}

/** The tool that reads what this compiler's programs count; another version's may not. */
function profdataTool() {
  const component = path.join(output('rustc', ['--print', 'sysroot']).trim(), 'lib/rustlib', told.host, 'bin/llvm-profdata')
  const packaged = `llvm-profdata-${told['LLVM version'].split('.')[0]}`
  if (existsSync(component)) return component
  return missing(packaged) ? undefined : packaged
}

/** Builds with these flags as well, and returns the path of the program. Named, the target leaves build scripts out. */
function build(name, flags) {
  const env = { ...process.env, RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} ${flags}`.trim(), CARGO_TARGET_DIR: path.join(target, name) }
  const { status } = spawnSync('cargo', ['build', '--release', '--target', told.host], { cwd: checkout, env, stdio: 'inherit' })
  if (status !== 0) process.exit(1)
  return path.join(target, name, told.host, 'release/forerun')
}

function filesOfManySizes() {
  const kinds = ['html', 'css', 'js', 'svg', 'png', 'woff2', 'bin']
  const sizes = [0.2, 0.5, 1, 3, 7, 15, 30, 60, 130, 400, 1_500]
  const files = sizes.flatMap((size) => kinds.map((kind) => [`${size}.${kind}`, Math.round(size * kB)]))
  return writeSite(Object.fromEntries(files.map(([name, length]) => [name, randomBytes(length / 2).toString('hex')])))
}

/** Asks a server that counts for every file, in many ways, and ends it, which writes what it has counted. */
async function load(root, times) {
  const home = scratch('pgo')
  const { child, port } = await started(counting, home, [root])
  const ended = new Promise((resolve) => child.on('close', resolve))
  try {
    const origin = `https://localhost:${port}`
    const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const urls = files.map((file) => `${origin}/${path.relative(root, path.join(file.parentPath, file.name))}`)
    const list = path.join(home, 'urls')
    writeFileSync(list, urls.join('\n'))
    const ask = (...words) => run('h2load', ['-t', '1', '-i', list, ...words.map(String)], { deadline_ms: LOAD_MS })
    await ask('-c', 10, '-m', 32, '-n', 50 * times)
    await ask('-c', 10, '-m', 32, '-n', 10 * times, '-H', 'accept-encoding: gzip, br')
    await ask('-c', 4, '-m', 1, '-n', 10 * times)
    await ask('-c', 10, '--h1', '-n', 5 * times)
    for (let time = 0; time < times / 40; time++) await ask('-c', 20, '-m', 1, '-n', 20)
    for (const url of urls.filter((url) => url.endsWith('.html'))) {
      await run('nghttp', ['-na', url])
      await run('nghttp', ['-na', '--no-push', url])
    }
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

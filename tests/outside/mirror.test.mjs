// The Python documentation fetched whole: by `wget --mirror` over HTTP/1.1 and by nghttp over HTTP/2, each file must
// equal the disk byte for byte.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { pythonRoot } from './lib/fixtures.mjs'
import { withServer } from './lib/forerun.mjs'
import { missing, run, scratch } from './lib/tools.mjs'

const root = pythonRoot()
const lacks = root ? false : 'Debian package python3-doc is not installed'
// Its jquery.js and underscore.js are symlinks to other packages.
const flags = ['--follow-symlinks']
const FILES_MIN = 450
const AT_ONCE = 4

/** The files below a directory, as paths of the site. */
function filesOf(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(directory, path.join(entry.parentPath ?? entry.path, entry.name)))
    .filter((name) => !name.split('/').some((part) => part.startsWith('.')))
}

test('wget --mirror over HTTP/1.1: the mirror equals the disk', { skip: missing('wget') || lacks, timeout: 300_000 }, async (t) => {
  await withServer(root, flags, async (server) => {
    const mirror = scratch('mirror')
    const options = ['--mirror', '--no-host-directories', '--quiet', '--execute', 'robots=off', `--ca-certificate=${server.authority}`]
    const { code, stderr } = await run('wget', [...options, '--directory-prefix', mirror, `${server.origin}/`], { deadline_ms: 240_000 })
    // 8: the server answered with an error, here to links that lead to nothing.
    assert.ok(code === 0 || code === 8, `${code}: ${stderr}`)
    const mirrored = filesOf(mirror)
    for (const name of mirrored) {
      const file = name.replace(/\?.*$/, '')
      assert.ok(existsSync(path.join(root, file)), `${name} is not on disk`)
      assert.ok(readFileSync(path.join(mirror, name)).equals(readFileSync(path.join(root, file))), `${name} differs from the disk`)
    }
    t.diagnostic(`${mirrored.length} files`)
    assert.ok(mirrored.length >= FILES_MIN, `${mirrored.length} files`)
  })
})

test('nghttp over HTTP/2: every file equals the disk', { skip: missing('nghttp') || lacks, timeout: 300_000 }, async (t) => {
  await withServer(root, flags, async (server) => {
    const files = filesOf(root).filter((name) => existsSync(path.join(root, name)))
    const left = [...files]
    const fetch = async () => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) {
        const url = server.origin + `/${name}`.split('/').map(encodeURIComponent).join('/')
        const { code, bytes, stderr } = await run('nghttp', ['--no-push', '-H', 'accept-encoding: identity', url])
        assert.equal(code, 0, `${name}: ${stderr}`)
        assert.ok(bytes.equals(readFileSync(path.join(root, name))), `${name} differs from the disk`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, fetch))
    t.diagnostic(`${files.length} files`)
    assert.ok(files.length >= FILES_MIN, `${files.length} files`)
  })
})

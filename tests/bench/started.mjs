// A server that a benchmark runs for itself, on a port of its own, with a home that goes with it.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

/**
 * Serves with these words after `forerun serve`, in `home`. Returns the process, its port, the
 * authority that it minted, and what the kernel tells of it, in kB: of /proc/PID/FILE, a name.
 */
export async function started(binary, home, words) {
  const child = spawn(binary, ['serve', ...words, '--port', '0'], {
    cwd: home,
    env: { ...process.env, HOME: home, XDG_DATA_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const port = await new Promise((resolve, reject) => {
    let said = ''
    child.stdout.on('data', (bytes) => {
      said += bytes
      const found = said.match(/localhost:(\d+)/)
      if (found) resolve(Number(found[1]))
    })
    child.on('close', () => reject(new Error('the server has ended')))
  })
  const read = (from, name) => Number(readFileSync(`/proc/${child.pid}/${from}`, 'utf8').match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'))[1])
  return { child, port, ca: readFileSync(path.join(home, 'forerun/authority.pem')), read }
}

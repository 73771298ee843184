// What the two drivers share: lines in, lines out.
import { createInterface } from 'node:readline'

export async function readLines () {
  const lines = []
  for await (const line of createInterface({ input: process.stdin })) lines.push(line)
  return lines
}

export function chunks (list, size) {
  const result = []
  for (let at = 0; at < list.length; at += size) result.push(list.slice(at, at + size))
  return result
}

export function print (value) {
  process.stdout.write(value.toString() + '\n')
}

export async function main (commands) {
  const [command, ...args] = process.argv.slice(2)
  try {
    await commands[command](...args)
    // A pipe is written to in the background: what was printed last is still under way.
    process.stdout.write('', () => process.exit(0))
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
}

// Both scripts talk to the test that runs them: the first line on stdin is the demo document, and after each
// {"open": url} comes the address that the person's browser was sent back to.
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const read = async () => (await lines.next()).value

export const demo = JSON.parse(await read())

export async function open(url) {
  console.log(JSON.stringify({ open: url.href ?? url }))
  return new URL(await read())
}

export const done = (what) => console.log(JSON.stringify({ done: what }))

export const goodbye = () => process.exit(0)

// The scripts talk to the test that runs them: the first line on stdin is the demo document, after each {"open": url}
// comes the address that the person's browser was sent back to, and after each {"please": deed} a line when it is done.
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const read = async () => (await lines.next()).value

export const demo = JSON.parse(await read())

export async function open(url) {
  console.log(JSON.stringify({ open: url.href ?? url }))
  return new URL(await read())
}

// What a script cannot do itself, such as letting time pass.
export async function please(deed) {
  console.log(JSON.stringify({ please: deed }))
  return read()
}

export const done = (what) => console.log(JSON.stringify({ done: what }))

export const goodbye = () => process.exit(0)

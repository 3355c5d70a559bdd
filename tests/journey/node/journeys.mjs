// Every journey, some at a time, the longest first. JOURNEY names one that is to be told alone.
import { browser } from './journey.mjs'

const atOnce = 2 // a browser makes a small machine busy
const { JOURNEY } = process.env
const waiting = (JOURNEY ? [JOURNEY] : [
  'second-step', 'sent-codes', 'providers', 'not-me', 'linking', 'privacy', 'password', 'registering', 'consent', 'profile', 'scriptless', 'passkeys', 'narrow',
  'sessions', 'step-up', 'keys', 'device',
]).values()

async function teller() {
  for (const name of waiting) {
    await import(`./${name}.mjs`).catch((failure) => {
      console.error(name, failure)
      process.exitCode = 1
    })
  }
}

await Promise.all(Array.from({ length: atOnce }, teller))
await browser.close()
process.exit()

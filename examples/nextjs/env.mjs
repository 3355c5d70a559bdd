// Writes .env.local for the demo family of `make run`: node env.mjs [path of demo.json]
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

const path = process.argv[2] ?? new URL('../../.dev/demo.json', import.meta.url)
const { issuer, api, clients } = JSON.parse(readFileSync(path, 'utf8'))
const settings = {
  AUTH_URL: 'http://localhost:3000',
  AUTH_SECRET: randomBytes(32).toString('base64url'),
  AUTH_LARDER_ISSUER: issuer,
  AUTH_LARDER_ID: clients.web.client_id,
  AUTH_LARDER_SECRET: clients.web.client_secret,
  LARDER_API: api,
}
const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
writeFileSync(new URL('.env.local', import.meta.url), lines.join(''), { mode: 0o600 })
console.log('Wrote .env.local. Now: npm run dev')

// One browser for all journeys: it says where it is and closes when nobody needs it any more.
import { chromium } from 'playwright-core'

const server = await chromium.launchServer({
  executablePath: process.env.CHROMIUM,
  timeout: 180_000, // milliseconds; a machine may be busy
  // The services listen on one of the addresses that this name has.
  args: ['--no-sandbox', '--host-resolver-rules=MAP localhost 127.0.0.1'],
})
console.log(server.wsEndpoint())
process.stdin.on('end', () => server.close().then(() => process.exit(0))).resume()

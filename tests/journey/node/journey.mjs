// What every journey is told with: people with browsers of their own, who find their way by what they can read, and
// whose every page is looked at.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { demo, done, please } from './talk.mjs'

export { assert, demo }

const { CHROMIUM, LEAVE, MAILS, PICTURES, TEXTS } = process.env
const patience = 180_000 // milliseconds; a machine may be busy
const axe = readFileSync('node_modules/axe-core/axe.min.js', 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

export const browser = await chromium.launch({
  executablePath: CHROMIUM,
  timeout: patience,
  // The services listen on one of the addresses that this name has.
  args: ['--no-sandbox', '--host-resolver-rules=MAP localhost 127.0.0.1'],
})

export const desk = { viewport: { width: 1100, height: 800 }, colorScheme: 'light' }
export const phone = { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }
export const scriptless = { ...desk, javaScriptEnabled: false }

// journey begins one: Visitor is for those who are on it, and tell runs it. When it fails, what each tab shows is kept for
// whoever has to find out why.
export function journey(name) {
  const visitors = []
  async function tell(...steps) {
    try {
      for (const step of steps) {
        await step()
        done(`${name}: ${step.name}`)
      }
      for (const { wrong } of visitors) assert.deepEqual(wrong, [])
    } catch (failure) {
      mkdirSync(LEAVE, { recursive: true })
      for (const [i, { tab }] of visitors.entries()) {
        if (tab.isClosed()) continue
        const picture = `${LEAVE}/${name}-${i + 1}.png`
        await tab.screenshot({ path: picture, fullPage: true }).catch(console.error)
        console.error(`\nTab ${i + 1} of ${name} is at ${tab.url()}, see ${picture}:\n${await tab.locator('body').innerText().catch(String)}`)
      }
      throw failure
    } finally {
      for (const context of new Set(visitors.map((visitor) => visitor.context))) await context.close()
    }
  }
  return { tell, Visitor: class extends Visitor { static journey = { name, visitors, pictures: 1 } } }
}

// somebody has an account: {id, name, email, password}.
export const somebody = async () => JSON.parse(await please('make an account'))

export const stranger = () => `${randomBytes(6).toString('hex')}@example.com`

const looked = new Set()

// isNew reports whether nobody has come by a page in this run that looks like that but for what it says: words, numbers,
// and what is filled in.
function isNew(look, markup) {
  const page = look + markup.replace(/ (nonce|value|content)="[^"]*"/g, '').replace(/>[^<]*\w[^<]*</g, '>x<')
    .replace(/[\w.-]+@[\w.-]+/g, '').replace(/[\w-]{20,}/g, '').replace(/\d+/g, '0')
  return looked.size < looked.add(page).size
}

// Visitor is a person at a browser that has never been here.
class Visitor {
  static async come(look = desk) {
    const context = await browser.newContext({ ...look, locale: 'en' })
    context.setDefaultTimeout(patience)
    return new this(context).open()
  }

  constructor(context) {
    this.context = context
    this.wrong = []
    this.journey = this.constructor.journey
    this.journey.visitors.push(this)
  }

  async open() {
    this.tab = await this.context.newPage()
    this.tab.on('pageerror', (fault) => this.wrong.push(String(fault)))
    this.tab.on('console', (message) => /Content Security Policy/.test(message.text()) && this.wrong.push(message.text()))
    this.debugger = await this.context.newCDPSession(this.tab)
    return this
  }

  // anotherTab is one more tab of the same browser.
  anotherTab() { return new this.constructor(this.context).open() }

  async go(address) { await this.tab.goto(new URL(address, demo.issuer).href) }

  // sees waits for a page by its heading, and by what else it says, and looks at it.
  async sees(heading, ...words) {
    await this.tab.getByRole('heading', { level: 1, name: heading }).waitFor()
    for (const some of words) await this.reads(some)
    await this.look()
  }

  async reads(words) { await this.tab.getByText(words).filter({ visible: true }).first().waitFor() }

  async warned(words) {
    await this.tab.getByRole('alert').filter({ hasText: words, visible: true }).waitFor()
    await this.look()
  }

  async readsNot(words) { assert.equal(await this.tab.getByText(words).count(), 0, `${this.tab.url()} says ${words}`) }

  // look holds the page against what every page must be. What axe has seen, in the same width and colours, it need not
  // see again: it takes half of a journey's time.
  async look() {
    await this.tab.waitForLoadState('load')
    const where = this.tab.url()
    await this.fits()
    const { markup, look } = await this.asksPage(`({
      markup: document.documentElement.outerHTML, look: [innerWidth, matchMedia('(prefers-color-scheme: dark)').matches],
    })`)
    if (!isNew(look, markup)) return
    const violations = `axe.run(document, { resultTypes: ['violations'], runOnly: ${JSON.stringify(tags)} })`
    assert.deepEqual(await this.asksPage(`${axe}; ${violations}.then((said) => said.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' ')))`), [], where)
  }

  // fits says that nobody has to scroll sideways.
  async fits() {
    if (PICTURES) await this.tab.screenshot({ path: `${PICTURES}/${this.journey.name}-${String(this.journey.pictures++).padStart(2, '0')}.png`, fullPage: true })
    const wide = await this.asksPage('document.documentElement.scrollWidth - innerWidth')
    assert.ok(wide <= 0, `${this.tab.url()} is ${wide} px too wide`)
  }

  // asksPage asks by the debugger, which the page's Content-Security-Policy does not hold.
  async asksPage(expression) {
    const { result, exceptionDetails } = await this.debugger.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    assert.equal(exceptionDetails, undefined, this.tab.url())
    return result.value
  }

  field(label) { return this.tab.getByLabel(label, { exact: true }).filter({ visible: true }) }
  button(name) { return this.tab.getByRole('button', { name, exact: true }) }

  // types fills in fields by their labels.
  async types(values) { for (const [label, text] of Object.entries(values)) await this.field(label).fill(text) }

  // away does what leads to another page, and waits until the browser has begun to show that.
  async away(act) {
    const left = this.tab.waitForEvent('framenavigated', (frame) => frame === this.tab.mainFrame())
    left.catch(() => {})
    await act()
    await left
  }

  press(name) { return this.away(() => this.button(name).click()) }
  follows(name) { return this.away(() => this.tab.getByRole('link', { name, exact: true }).click()) }

  // downloads follows a link to a file and returns the lines below its title.
  async downloads(name) {
    const [file] = await Promise.all([this.tab.waitForEvent('download'), this.tab.getByRole('link', { name, exact: true }).click()])
    let text = ''
    for await (const part of await file.createReadStream()) text += part
    return text.split('\r\n').slice(2, -1)
  }

  unfolds(name) { return this.tab.locator('summary', { hasText: name }).click() }

  async signsIn({ email, password }) {
    await this.types({ Email: email, Password: password })
    await this.press('Sign in')
  }

  // home signs in and is at the account.
  async home(who) {
    await this.go('/login')
    await this.signsIn(who)
    await this.sees(`Hello, ${who.name}`)
  }
}

const opened = new Set()

// arrives waits for a message in a folder, reads each once, and returns what pick makes of it.
async function arrives(folder, pick, missing) {
  for (const deadline = Date.now() + patience; Date.now() < deadline; await pause(50)) {
    for (const file of readdirSync(folder).filter((name) => /\.(eml|txt)$/.test(name)).sort().map((name) => `${folder}/${name}`)) {
      if (opened.has(file)) continue
      const found = pick(readFileSync(file, 'utf8'))
      if (!found) continue
      opened.add(file)
      return found
    }
  }
  assert.fail(missing)
}

// mail waits for a mail to an address and returns its text and the link in it, if there is one.
export function mail(to, subject) {
  const link = new RegExp(`${demo.issuer.replaceAll('.', '\\.')}/[^\\s"<>]+`)
  return arrives(MAILS, (text) => {
    const [head] = text.split('\r\n\r\n', 1)
    return head.includes(`<${to}>`) && head.includes(`Subject: ${subject}`) && { text, link: link.exec(text)?.[0] }
  }, `no mail "${subject}" came to ${to}`)
}

// text waits for a text message to a number and returns it.
export const text = (to) => arrives(TEXTS, (message) => message.startsWith(`To: ${to}\n`) && message.split('\n\n')[1], `no text message came to ${to}`)

// otp is what an authenticator app shows (RFC 6238), now or some steps from now.
export function otp(secret, later = 0) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later))
  const mac = createHmac('sha1', key).update(step).digest()
  const at = mac[19] & 15
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

// The pages of people in Chromium: each by axe for WCAG 2.2 AA, in light and dark, on a telephone and a desk, in each
// language, without anything that moves while it loads and with every control in reach of the keyboard.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { chromium, newContext } from './browser.mjs'
import { demo, done, goodbye } from './talk.mjs'

const axe = readFileSync('node_modules/axe-core/axe.min.js', 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const ada = demo.users.find((user) => user.role === 'admin')
const pictures = process.env.PICTURES // a folder to leave screenshots in
if (pictures) mkdirSync(pictures, { recursive: true })

// Of radio buttons the keyboard reaches the chosen one, and the others by its arrows.
const controls = 'a[href], button, input:not([type=hidden], [type=radio]:not(:checked)), select, summary'

const browser = await chromium()

// check holds the page that a tab shows against what every page must be.
async function check(tab, name, { width, scheme, language }) {
  const where = `${name} (${width} px, ${scheme}, ${language})`
  await tab.waitForLoadState('load')
  if (pictures) await tab.screenshot({ path: `${pictures}/${name}-${width}-${scheme}-${language}.png`, fullPage: true })
  const shown = await tab.evaluate((controls) => ({
    language: document.documentElement.lang,
    overflow: document.documentElement.scrollWidth - innerWidth,
    moved: performance.getEntriesByType('layout-shift').reduce((sum, e) => sum + e.value, 0),
    controls: document.querySelectorAll(controls).length,
  }), controls)
  assert.equal(shown.language, language, where)
  assert.ok(shown.overflow <= 0, `${where} is ${shown.overflow} px too wide`)
  assert.ok(shown.moved < 0.01, `${where} moves by ${shown.moved} while it loads`)
  const found = await tab.evaluate(async ([source, tags]) => {
    // By the debugger, which the page's Content-Security-Policy does not hold.
    if (!window.axe) (0, eval)(source)
    return (await axe.run(document, { runOnly: tags })).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`)
  }, [axe, tags])
  assert.deepEqual(found, [], where)
  await tab.evaluate(() => { document.activeElement.blur(); window.reached = new Set() })
  for (let i = 0; i < 2 * shown.controls + 2; i++) { // twice around: a script may take the focus in between
    await tab.keyboard.press('Tab')
    await tab.evaluate(() => document.activeElement !== document.body && reached.add(document.activeElement))
  }
  // Looked at afterwards: a script may take a control away that is of no use here.
  const missed = await tab.evaluate((controls) =>
    [...document.querySelectorAll(controls)].filter((e) => e.checkVisibility() && !reached.has(e)).map((e) => e.outerHTML), controls)
  assert.deepEqual(missed, [], `${where}: the keyboard does not reach everything`)
}

// Somebody asks Ada from elsewhere, for as long as this takes.
const post = async (path, headers, body) => {
  const answer = await fetch(demo.issuer + path, { method: 'POST', headers, body })
  assert.ok(answer.ok, `${path}: ${answer.status}`)
  return answer.json()
}
const phone = await post('/connect/register', { 'content-type': 'application/json' }, JSON.stringify({
  client_name: 'Pantry Phone Line', grant_types: ['urn:openid:params:grant-type:ciba'], scope: 'openid lists:read', policy_uri: 'https://phone.example/privacy',
}))
await post('/bc-authorize', { authorization: `Basic ${btoa(`${phone.client_id}:${phone.client_secret}`)}` }, new URLSearchParams({
  scope: 'openid lists:read', login_hint: ada.email, binding_message: 'Order 4711', acr_values: 'urn:larder:acr:mfa', requested_expiry: '1800',
}))

// rated types a new password and reads what the page says of it.
async function rated(tab) {
  const asked = []
  tab.on('request', (request) => request.url().endsWith('/password/strength') && asked.push(request))
  const password = tab.locator('input[name=password]'), meter = tab.getByRole('meter')
  await password.fill('abcdefghijklmnopqrst')
  await tab.locator('[data-level="0"]').waitFor()
  assert.equal(await meter.getAttribute('aria-valuenow'), '0')
  assert.equal(await meter.getAttribute('aria-valuetext'), await tab.locator('#password-hint').textContent())
  await password.fill('plum gravel octave tin lampshades')
  await tab.locator('[data-level="4"]').waitFor()
  assert.equal(await meter.getAttribute('aria-valuenow'), '4')
  await tab.locator('[data-reveal]').click()
  assert.equal(await password.getAttribute('type'), 'text')
  await tab.locator('[data-reveal]').click()
  assert.equal(await password.getAttribute('type'), 'password')
  const before = asked.length
  await password.evaluate((field) => { // in one go, so that no machine is too slow to be left in time
    field.dispatchEvent(new Event('input'))
    dispatchEvent(new Event('pagehide'))
  })
  await tab.waitForTimeout(700)
  assert.equal(asked.length, before, 'the page asked after it was left')
  assert.ok(asked.every((request) => request.method() === 'POST'), 'a password stood in an address')
}

const looks = [
  { width: 360, scheme: 'dark', language: 'de' },
  { width: 1280, scheme: 'dark', language: 'en' },
  { width: 360, scheme: 'light', language: 'fr' },
]
for (const look of looks) {
  const context = await newContext(browser, {
    viewport: { width: look.width, height: 800 }, colorScheme: look.scheme, locale: look.language, bypassCSP: true,
  })
  const tab = await context.newPage()
  const visit = async (path, name) => {
    await tab.goto(demo.issuer + path)
    await check(tab, name, look)
  }
  for (const path of ['login', 'register', 'forgot', 'nowhere']) await visit(`/${path}`, path)
  await tab.goto(`${demo.issuer}/register`)
  await rated(tab)
  await check(tab, 'register-rated', look)
  await tab.goto(`${demo.issuer}/login`)
  await tab.locator('input[name=email]').fill(ada.email)
  await tab.locator('input[name=password]').fill('not the password')
  await tab.locator('button[value=login]').click()
  await tab.locator('[role=alert]:visible').waitFor()
  await check(tab, 'login-failed', look)
  await tab.locator('input[name=password]').fill(ada.password)
  await tab.locator('button[value=login]').click()
  await tab.waitForURL('**/account')
  await context.clearCookies({ name: /language/ }) // the account's own
  for (const path of ['account', 'account/security', 'account/sessions', 'account/apps', 'account/requests', 'account/identities', 'account/keys', 'account/privacy', 'device', 'logout']) {
    await visit(`/${path}`, path.replace('/', '-'))
  }
  await tab.goto(`${demo.issuer}/account/security`)
  await tab.locator('button[value=totp]').click()
  await tab.locator('#totp-secret').waitFor()
  await check(tab, 'totp', look)
  const { web } = demo.clients
  await visit(`/authorize?${new URLSearchParams({
    client_id: web.client_id, redirect_uri: web.redirect_uris[0], response_type: 'code', scope: 'openid profile email', prompt: 'consent',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256', ui_locales: look.language,
  })}`, 'consent')
  await visit('/account', 'account-again')
  await tab.locator('.languages button[value=fr]').click()
  await tab.locator('html[lang=fr]').waitFor()
  await context.close()
  done(`every page at ${look.width} px, ${look.scheme}, in ${look.language}`)
}
await browser.close()
goodbye()

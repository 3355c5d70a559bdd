// oidc-client-ts in Chromium: a single-page app at an origin of its own, so that every request it makes of the
// provider and the API goes by what CORS allows.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { chromium, newContext, signIn } from './browser.mjs'
import { demo, done, goodbye } from './talk.mjs'

const { spa } = demo.clients
const ada = demo.users.find((user) => user.role === 'admin')
const library = readFileSync('node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js')
// In a hidden frame or a popup the page only hands the answer of /authorize on to the page around or behind it.
const page = `<!doctype html><title>SPA</title><script src="/oidc-client-ts.min.js"></script><script>
  const handOn = () => new oidc.UserManager({ authority: '', client_id: '', redirect_uri: '' })
  if (top !== self) handOn().signinSilentCallback()
  else if (opener) handOn().signinPopupCallback()</script>`
const server = createServer((request, response) => {
  const script = request.url === '/oidc-client-ts.min.js'
  response.setHeader('content-type', script ? 'text/javascript' : 'text/html').end(script ? library : page)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${server.address().port}`

const settings = {
  authority: demo.issuer, client_id: spa.client_id, redirect_uri: `${origin}/callback`, post_logout_redirect_uri: `${origin}/`,
  scope: 'openid profile email lists:read', resource: demo.api, automaticSilentRenew: false,
  monitorSession: true, checkSessionIntervalInSeconds: 1, revokeTokensOnSignout: true,
}
const browser = await chromium()

// Each way of holding tokens in a context of its own: plain bearer tokens, and tokens bound to a key of the browser's.
for (const bound of [false, true]) {
  const context = await newContext(browser)
  const tab = await context.newPage()
  const refused = []
  tab.on('console', (message) => /CORS|Content Security Policy/.test(message.text()) && refused.push(message.text()))
  // The page is loaded anew by each redirect, and with it the manager.
  const start = () => tab.evaluate(([settings, bound]) => {
    // It shows even bound tokens to userinfo by the Bearer scheme, which we refuse.
    const dpop = bound ? { bind_authorization_code: true, store: new oidc.IndexedDbDPoPStore() } : undefined
    window.manager = new oidc.UserManager({ ...settings, dpop, loadUserInfo: !bound, userStore: new oidc.WebStorageStateStore({ store: localStorage }) })
    window.signedOut = false
    manager.events.addUserSignedOut(() => { window.signedOut = true })
  }, [settings, bound])

  await tab.goto(`${origin}/app`) // not where a sign-out leads to
  await start()
  let user
  if (!bound) {
    await tab.evaluate(() => void manager.signinRedirect())
    await signIn(tab, ada, `${origin}/callback?*`)
    await start()
    user = await tab.evaluate(() => manager.signinCallback())
  } else {
    const opened = context.waitForEvent('page')
    await tab.evaluate(() => { window.signingIn = manager.signinPopup() })
    const popup = await opened
    await popup.locator('input[name=email]').waitFor()
    assert.ok(await popup.evaluate(() => opener !== null), 'the sign-in page is cut off from who opened it')
    const closed = popup.waitForEvent('close')
    await signIn(popup, ada, `${origin}/callback?*`).catch(() => {}) // it may close before it is seen
    await closed
    user = await tab.evaluate(() => window.signingIn)
    done('sign-in in a popup')
  }
  assert.equal(user.profile.sub, ada.id)
  if (!bound) assert.equal(user.profile.email, ada.email) // from userinfo
  assert.equal(user.token_type, bound ? 'DPoP' : 'Bearer')
  done(`sign-in, ${user.token_type}: discovery, token, JWKS and userinfo across origins`)

  const lists = () => tab.evaluate(async ([url, bound]) => {
    const user = await manager.getUser()
    const headers = { authorization: `${user.token_type} ${user.access_token}` }
    if (bound) headers.dpop = await manager.dpopProof(url, user, 'GET')
    return (await fetch(url, { headers })).status
  }, [`${demo.api}/v1/families/${demo.family_id}/lists`, bound])
  assert.equal(await lists(), 200)

  const renewed = await tab.evaluate(() => manager.signinSilent())
  assert.notEqual(renewed.refresh_token, user.refresh_token)
  assert.notEqual(renewed.access_token, user.access_token)
  assert.equal(await lists(), 200)
  done('the API, and a silent renewal by refresh token')

  // The provider's frame says "unchanged" as long as it is so, and another tab that signs out is noticed.
  await tab.waitForFunction(() => [...document.querySelectorAll('iframe')].some((frame) => frame.src.includes('/session/check')))
  assert.equal(await tab.evaluate(() => window.signedOut), false)
  if (!bound) {
    const other = await context.newPage()
    await other.goto(`${demo.issuer}/logout`)
    await other.locator('button[value=logout]').click()
    await tab.waitForFunction(() => window.signedOut)
    done('session management: a sign-out in another tab')
  } else {
    await tab.evaluate(() => void manager.signoutRedirect())
    await tab.waitForURL(`${origin}/`)
    await start()
    assert.equal(await tab.evaluate(() => manager.getUser()), null)
    await tab.goto(`${demo.issuer}/account`)
    await tab.locator('input[name=password]').waitFor()
    done('revocation and sign-out, and back at the port of the moment')
  }
  assert.deepEqual(refused, [])
  await context.close()
}
await browser.close()
goodbye()

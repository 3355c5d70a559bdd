// The API wants to know somebody better (RFC 9470); the app asks, the person sets up a second step, and it goes on.
import { App } from './app.mjs'
import { assert, desk, journey, otp, somebody } from './journey.mjs'

const { Visitor, tell } = journey('step-up')
const who = await somebody()
const tab = await Visitor.come(desk)
const app = await App.open('List Keeper', { scope: 'openid family:read family:write lists:read lists:write' })
const scope = 'openid family:read family:write lists:read lists:write'
let family, list, secret

const wanted = async () => {
  const refused = await app.calls('DELETE', `${family}/lists/${list.id}`, undefined, { 'if-match': '*' })
  assert.equal(refused.status, 401, await refused.clone().text())
  const challenge = refused.headers.get('www-authenticate')
  assert.match(challenge, /error="insufficient_user_authentication"/)
  return /acr_values="([^"]+)"/.exec(challenge)[1]
}

await tell(
  async function signsIn() {
    await tab.go(app.asks(scope))
    await tab.signsIn(who)
    await tab.sees('Allow List Keeper to use your Larder account?')
    await tab.press('Allow')
    await tab.sees('Back at List Keeper')
    await app.redeems(tab)
    const made = await app.calls('POST', '/v1/families', { name: 'The Robins', timezone: 'Europe/Berlin', display_name: 'Robin' })
    assert.equal(made.status, 201)
    family = `/v1/families/${(await made.json()).id}`
    list = await (await app.calls('POST', `${family}/lists`, { name: 'Party', kind: 'shared' })).json()
    const rules = await app.calls('GET', `${family}/rules`)
    const set = await app.calls('PUT', `${family}/rules`, { second_factor: ['list.delete'] }, { 'if-match': rules.headers.get('etag') })
    assert.equal(set.status, 200, await set.clone().text())
  },
  async function isNotReady() {
    await tab.go(app.asks(scope, { acr_values: await wanted() }))
    await tab.sees('A second step is needed', 'List Keeper')
    await tab.press('Not now, go back')
    await tab.sees('Back at List Keeper')
    assert.equal(app.receives(tab).error, 'access_denied')
  },
  async function setsItUpOnTheWay() {
    await tab.go(app.asks(scope, { acr_values: await wanted() }))
    await tab.sees('A second step is needed', 'List Keeper')
    await tab.press('Set up an authenticator app')
    await tab.sees('Set up your authenticator app')
    secret = await tab.tab.locator('#totp-secret').innerText()
    await tab.types({ 'Code that the app shows now': otp(secret) })
    await tab.press('Turn it on')
    await tab.sees('Save your recovery codes')
    await tab.follows('I have saved them, on to List Keeper')
    await tab.sees('Back at List Keeper')
    await app.redeems(tab)
    const gone = await app.calls('DELETE', `${family}/lists/${list.id}`, undefined, { 'if-match': '*' })
    assert.equal(gone.status, 204, await gone.clone().text())
  },
  async function isAskedAgainInAnotherBrowser() {
    const other = await Visitor.come()
    await other.go(app.asks(scope, { acr_values: 'urn:larder:acr:mfa' }))
    await other.signsIn(who)
    await other.sees('Enter your code', 'List Keeper')
    await other.types({ 'Code from the app': otp(secret, 1) })
    await other.press('Continue')
    await other.sees('Back at List Keeper')
  },
)

// An authenticator app, a device that is remembered, and the recovery codes.
import { assert, desk, journey, mail, otp, phone, somebody } from './journey.mjs'

const { Visitor, tell } = journey('second-step')
const who = await somebody()
const [tab, other] = [await Visitor.come(phone), await Visitor.come(desk)]
let secret, codes

await tell(
  async function setsItUp() {
    await tab.home(who)
    await tab.follows('Security')
    await tab.press('Set up an authenticator app')
    await tab.sees('Set up your authenticator app')
    secret = await tab.tab.locator('#totp-secret').innerText()
    await tab.types({ 'Code that the app shows now': '000000' })
    await tab.press('Turn it on')
    await tab.warned('not the code')
    assert.equal(await tab.tab.locator('#totp-secret').innerText(), secret)
    await tab.types({ 'Code that the app shows now': otp(secret) })
    await tab.press('Turn it on')
    await tab.sees('Save your recovery codes')
    codes = await tab.tab.locator('#recovery-codes li').allInnerTexts()
    assert.equal(new Set(codes).size, 10)
    await tab.context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await tab.button('Copy').click()
    await tab.button('Copied').waitFor()
    assert.equal(await tab.tab.evaluate(() => navigator.clipboard.readText()), codes.join('\n'))
    assert.deepEqual(await tab.downloads('Download'), codes)
    await tab.button('Print').waitFor()
    await tab.follows('I have saved them')
    await tab.sees('Security', '10 of 10')
    await tab.readsNot('Not you?') // setting it up was a sign-in too, on this device
    await mail(who.email, 'An authenticator app was set up')
  },
  async function signsInWithACode() {
    await other.go('/login')
    await other.signsIn(who)
    await other.sees('Enter your code')
    const sideways = await other.anotherTab()
    await sideways.go('/account') // nobody is signed in by half
    await sideways.sees('Sign in')
    await other.types({ 'Code from the app': '000000' })
    await other.press('Continue')
    await other.warned('not right')
    await other.types({ 'Code from the app': otp(secret, 1) }) // each counts once, and a clock may be fast
    await other.tab.getByLabel('Don’t ask for a code on this device').check()
    await other.press('Continue')
    await other.sees(`Hello, ${who.name}`)
  },
  async function isRememberedHere() {
    await other.press('Sign out')
    await other.sees('You are signed out')
    await other.follows('Sign in again')
    await other.signsIn(who)
    await other.sees(`Hello, ${who.name}`)
  },
  async function losesThePhone() {
    await tab.go('/logout')
    await tab.sees('Sign out of Larder?')
    await tab.press('Sign out')
    await tab.sees('You are signed out')
    await tab.follows('Sign in again')
    await tab.signsIn(who)
    await tab.sees('Enter your code')
    await tab.unfolds('I can’t use the app')
    await tab.types({ 'Recovery code': codes[3] })
    await tab.press('Use this recovery code')
    await tab.sees(`Hello, ${who.name}`)
    await tab.follows('Security')
    await tab.sees('Security', '9 of 10')
  },
  async function forgetsTheDevice() {
    await tab.press(/^Forget /)
    await tab.sees('Security')
    await other.go('/logout')
    await other.press('Sign out')
    await other.go('/login')
    await other.signsIn(who)
    await other.sees('Enter your code')
    await other.unfolds('I can’t use the app')
    await other.types({ 'Recovery code': codes[3] })
    await other.press('Use this recovery code')
    await other.warned('used already')
  },
  async function getsNewCodes() {
    await tab.press('Get new recovery codes')
    await tab.sees('Save your recovery codes', 'do not work any more')
    await tab.follows('I have saved them')
    await tab.sees('Security', '10 of 10')
  },
  async function turnsItOff() {
    await tab.unfolds('Turn the second step off')
    await tab.press('Turn it off')
    await tab.sees('Security', 'One step is enough to sign in')
    await other.go('/login')
    await other.signsIn(who)
    await other.sees(`Hello, ${who.name}`)
  },
)

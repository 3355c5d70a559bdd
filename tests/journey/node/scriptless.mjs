// The main ways once more, in a browser that runs no script.
import { App } from './app.mjs'
import { assert, journey, mail, otp, scriptless, stranger } from './journey.mjs'

const { Visitor, tell } = journey('scriptless')
const nina = { name: 'Nina Noscript', email: stranger(), password: 'seven quiet herons at dusk' }
const tab = await Visitor.come(scriptless)
const app = await App.open('Plain App')
let secret

await tell(
  async function registersOnTheWayToAnApp() {
    await tab.go(app.asks('openid email'))
    await tab.follows('Make an account')
    await tab.types({ Name: nina.name, Email: nina.email, Password: nina.password })
    await tab.press('Make my account')
    await tab.reads('Look into your mail')
    await tab.go((await mail(nina.email, 'Confirm your email address for Larder')).link)
    await tab.press('Confirm and make my account')
    await tab.follows('Sign in')
    await tab.signsIn(nina)
    await tab.press('Allow')
    await tab.reads('Back at Plain App')
    await app.redeems(tab)
  },
  async function sendsAFormByHand() {
    await tab.go(app.asks('openid email', { response_mode: 'form_post' }))
    await tab.reads('Back to Plain App')
    await tab.press('Continue')
    await tab.reads('Back at Plain App')
    await app.redeems(tab)
  },
  async function setsUpASecondStep() {
    await tab.go('/account/security')
    assert.match(await tab.tab.locator('body').innerText(), /Passkeys need JavaScript/)
    assert.equal(await tab.button('Add a passkey').count(), 0)
    await tab.press('Set up an authenticator app')
    secret = await tab.tab.locator('#totp-secret').innerText()
    await tab.types({ 'Code that the app shows now': otp(secret) })
    await tab.press('Turn it on')
    assert.deepEqual([await tab.button('Copy').isVisible(), await tab.button('Print').isVisible()], [false, false])
    assert.equal((await tab.downloads('Download')).length, 10)
    await tab.follows('I have saved them')
    await tab.reads('10 of 10')
  },
  async function forgetsThePassword() {
    await tab.go('/logout')
    await tab.press('Sign out')
    await tab.follows('Sign in again')
    await tab.follows('Forgot your password?')
    await tab.types({ Email: nina.email })
    await tab.press('Send me a link')
    await tab.go((await mail(nina.email, 'Choose a new password for Larder')).link)
    nina.password = 'a bicycle made of cinnamon'
    await tab.types({ 'New password': nina.password })
    await tab.press('Change my password')
    await tab.follows('Sign in')
    await tab.signsIn(nina)
    await tab.types({ 'Code from the app': otp(secret, 1) })
    await tab.press('Continue')
    await tab.reads(`Hello, ${nina.name}`)
  },
  async function comesWithApple() {
    const other = await Visitor.come(scriptless)
    await other.go('/login')
    await other.press('Continue with Apple')
    await other.types({ Email: stranger(), Name: 'Abel Apple' })
    await other.press('Allow')
    await other.press('Continue') // Apple's form sends itself, where there are scripts
    await other.reads('Hello, Abel Apple')
  },
)

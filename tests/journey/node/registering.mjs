// Somebody new makes an account.
import { assert, demo, journey, mail, phone, stranger } from './journey.mjs'

const { Visitor, tell } = journey('registering')
const nina = { name: 'Nina Novak', email: stranger(), password: 'seven quiet herons at dusk' }
const subject = 'Confirm your email address for Larder'
const tab = await Visitor.come(phone)
let first, second

await tell(
  async function registers() {
    await tab.go('/login')
    await tab.sees('Sign in')
    await tab.follows('Make an account')
    await tab.sees('Make an account')
    await tab.types({ Name: nina.name, Email: nina.email, Password: 'passwordpassword' })
    await tab.press('Make my account')
    await tab.warned('first that an attacker tries')
    await tab.types({ Password: nina.password })
    await tab.press('Make my account')
    await tab.sees('Look into your mail', nina.email)
    first = await mail(nina.email, subject)
  },
  async function asksForAnotherMail() {
    await tab.press('Send it again')
    await tab.sees('Look into your mail', 'a new mail is on its way')
    second = await mail(nina.email, subject)
    await tab.go(first.link)
    await tab.sees('This link does not work')
  },
  async function isNobodyUntilThen() {
    await tab.go('/login')
    await tab.signsIn(nina)
    await tab.warned('not right')
  },
  async function scannersSpendNothing() {
    for (const method of ['GET', 'HEAD', 'GET']) assert.equal((await fetch(second.link, { method })).status, 200)
  },
  async function confirms() {
    await tab.go(second.link)
    await tab.sees('Welcome to Larder', nina.email)
    await tab.press('Confirm and make my account')
    await tab.sees('Your account is ready')
  },
  async function theLinkIsSpent() {
    const other = await tab.anotherTab()
    await other.go(second.link)
    await other.sees('This link does not work', 'used already')
  },
  async function signsIn() {
    await tab.follows('Sign in')
    await tab.signsIn(nina)
    await tab.sees(`Hello, ${nina.name}`)
  },
  async function theAddressIsNotToldToHaveAnAccount() {
    const other = await Visitor.come()
    await other.go('/register')
    await other.types({ Name: 'Somebody Else', Email: nina.email, Password: 'nine loud geese at dawn' })
    await other.press('Make my account')
    await other.sees('Look into your mail', nina.email)
    await mail(nina.email, 'You have a Larder account already')
  },
  async function anOldTransactionHasAWayOn() {
    await tab.context.clearCookies()
    await tab.go(`${demo.issuer}/login?flow=${'x'.repeat(43)}`)
    await tab.sees('This sign-in is over', 'took too long')
  },
)

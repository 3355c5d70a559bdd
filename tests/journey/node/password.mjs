// Passwords: forgotten, and changed.
import { assert, journey, mail, phone, somebody, stranger } from './journey.mjs'

const { Visitor, tell } = journey('password')
const who = await somebody()
const old = who.password
const [tab, elsewhere] = [await Visitor.come(phone), await Visitor.come()]
const subject = 'Choose a new password for Larder'
let reset

await tell(
  async function forgets() {
    await elsewhere.home(who)
    await tab.go('/login')
    await tab.follows('Forgot your password?')
    await tab.sees('Forgot your password?')
    const nobody = stranger()
    await tab.types({ Email: nobody })
    await tab.press('Send me a link')
    await tab.sees('Look into your mail', nobody)
    await tab.follows('Back to sign in')
    await tab.follows('Forgot your password?')
    await tab.types({ Email: who.email.toUpperCase() })
    await tab.press('Send me a link')
    await tab.sees('Look into your mail', who.email.toUpperCase())
    reset = await mail(who.email, subject)
  },
  async function scannersSpendNothing() {
    for (const method of ['GET', 'HEAD', 'GET']) assert.equal((await fetch(reset.link, { method })).status, 200)
  },
  async function choosesANewOne() {
    await tab.go(reset.link)
    await tab.sees('Choose a new password')
    await tab.types({ 'New password': 'passwordpassword' })
    await tab.press('Change my password')
    await tab.warned('first that an attacker tries')
    who.password = 'a bicycle made of cinnamon'
    await tab.types({ 'New password': who.password })
    await tab.press('Change my password')
    await tab.sees('Your password is changed')
    await mail(who.email, 'Your Larder password was changed')
  },
  async function isSignedOutElsewhere() {
    await elsewhere.go('/account')
    await elsewhere.sees('Sign in')
    await elsewhere.signsIn({ ...who, password: old })
    await elsewhere.warned('not right')
  },
  async function theLinkIsSpent() {
    await elsewhere.go(reset.link)
    await elsewhere.sees('This link does not work', 'used already')
    await elsewhere.follows('Ask for a new link')
    await elsewhere.sees('Forgot your password?')
  },
  async function signsInWithIt() {
    await tab.follows('Sign in')
    await tab.signsIn(who)
    await tab.sees(`Hello, ${who.name}`)
    await elsewhere.home(who)
  },
  async function changesIt() {
    await tab.follows('Security')
    await tab.sees('Security', 'Recent sign-ins')
    await tab.types({ 'Current password': 'not my password', 'New password': 'forty lazy lemons on a raft' })
    await tab.press('Change my password')
    await tab.warned('The password is not right')
    await tab.types({ 'Current password': who.password, 'New password': 'forty lazy lemons on a raft' })
    await tab.press('Change my password')
    await tab.sees('Security', 'Every other device is signed out')
    await mail(who.email, 'Your Larder password was changed')
    await elsewhere.go('/account')
    await elsewhere.sees('Sign in')
    await tab.go('/account')
    await tab.sees(`Hello, ${who.name}`)
  },
)

// Where somebody is signed in, and is not any more.
import { assert, journey, phone, somebody } from './journey.mjs'

const { Visitor, tell } = journey('sessions')
const who = await somebody()
const tab = await Visitor.come(phone)
const others = [await Visitor.come(), await Visitor.come(), await Visitor.come()]
const signOuts = () => tab.tab.getByRole('button', { name: /^Sign out (?!all)/ })

await tell(
  async function seesEveryDevice() {
    for (const each of [...others, tab]) await each.home(who)
    await tab.follows('Devices')
    await tab.sees('Where you are signed in', '(this device)')
    assert.equal(await signOuts().count(), 3)
  },
  async function signsOutOne() {
    await tab.away(() => signOuts().first().click())
    await tab.sees('Where you are signed in', 'signed out')
    assert.equal(await signOuts().count(), 2)
  },
  async function signsOutAllOthers() {
    await tab.press('Sign out all other devices')
    await tab.sees('Where you are signed in', 'You are signed in nowhere else')
    for (const each of others) {
      await each.go('/account')
      await each.sees('Sign in')
    }
    await tab.go('/account')
    await tab.sees(`Hello, ${who.name}`)
  },
  async function signsOut() {
    const sibling = await tab.anotherTab()
    await sibling.go('/account/security')
    await tab.press('Sign out')
    await tab.sees('You are signed out')
    await sibling.press('Set up an authenticator app')
    await sibling.sees('Sign in')
    await tab.away(() => tab.tab.goBack()) // nothing of the account is left to look at
    await tab.sees('Sign in')
  },
)

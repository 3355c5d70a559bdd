// Signing in with Google and Apple, and not.
import { assert, desk, journey, phone, stranger } from './journey.mjs'

const { Visitor, tell } = journey('providers')
const [tab, other] = [await Visitor.come(desk), await Visitor.come(phone)]
const [atGoogle, atApple] = [stranger(), stranger()]

await tell(
  async function thinksBetterOfIt() {
    for (const [button, page] of [['Continue with Google', 'Google (emulated)'], ['Continue with Apple', 'Apple (emulated)']]) {
      await tab.go('/login')
      await tab.press(button)
      await tab.sees(page)
      await tab.press('Cancel')
      await tab.sees(/^You did not continue with/, 'Nothing was changed')
      await tab.follows('Choose how to sign in')
      await tab.sees('Sign in')
    }
  },
  async function comesWithGoogle() {
    await tab.press('Continue with Google')
    await tab.types({ Email: atGoogle, Name: 'Gina Google' })
    await tab.press('Allow')
    await tab.sees('Hello, Gina Google', atGoogle)
  },
  async function goesBack() {
    // Past the provider's page lies the way that has been gone already.
    await tab.away(() => tab.tab.goBack())
    await tab.sees('Google (emulated)')
    await tab.types({ Email: atGoogle })
    await tab.press('Allow')
    await tab.sees('Signing in with Google did not work', 'finished already')
    await tab.follows('Go on')
    await tab.sees('Hello, Gina Google')
  },
  async function comesWithApple() {
    await other.go('/login')
    await other.press('Continue with Apple')
    await other.types({ Email: atApple, Name: 'Abel Apple' })
    await other.tab.getByLabel('Hide my email').check()
    await other.press('Allow')
    await other.sees('Hello, Abel Apple', 'privaterelay')
  },
  async function comesAgain() {
    await other.press('Sign out')
    await other.sees('You are signed out')
    await other.follows('Sign in again')
    await other.press('Continue with Apple')
    await other.types({ Email: atApple })
    await other.press('Allow')
    await other.sees('Hello, Abel Apple') // Apple tells the name the first time only
  },
  async function hasTwoTabs() {
    const one = await Visitor.come()
    await one.go('/login')
    const two = await one.anotherTab()
    await two.go('/login')
    await one.press('Continue with Google')
    await two.press('Continue with Google')
    for (const each of [one, two]) {
      await each.types({ Email: atGoogle })
      await each.press('Allow')
      await each.sees('Hello, Gina Google')
    }
  },
  async function isNotTrickedIntoAnothersAccount() {
    // The address of somebody's trip, opened in a browser that did not begin it.
    const [begun, tricked] = [await Visitor.come(), await Visitor.come()]
    await begun.go('/login')
    await begun.press('Continue with Google')
    await tricked.go(begun.tab.url())
    await tricked.types({ Email: stranger() })
    await tricked.press('Allow')
    await tricked.sees('Signing in with Google did not work', 'another browser')
    await tricked.go('/account')
    await tricked.sees('Sign in')
  },
  async function anUnverifiedAddressIsWorthNothing() {
    const one = await Visitor.come()
    await one.go('/login')
    await one.press('Continue with Google')
    await one.types({ Email: stranger() })
    await one.tab.getByLabel('has not verified this address').check()
    await one.press('Allow')
    await one.sees('Signing in with Google did not work')
    assert.equal(await one.tab.getByRole('alert').count(), 1)
  },
)

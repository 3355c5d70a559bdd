// Accounts elsewhere that belong to the same person.
import { journey, mail, phone, somebody, stranger } from './journey.mjs'

const { Visitor, tell } = journey('linking')
const who = await somebody()
const [tab, other] = [await Visitor.come(), await Visitor.come(phone)]
const atApple = stranger()

async function allow(visitor, email) {
  await visitor.types({ Email: email })
  await visitor.press('Allow')
}

await tell(
  async function anAddressAloneOpensNothing() {
    await tab.go('/login')
    await tab.press('Continue with Google')
    await allow(tab, who.email)
    await tab.sees('You have an account already', who.email)
    await tab.types({ 'Password of your Larder account': 'not my password' })
    await tab.press('Link and sign in')
    await tab.warned('not right')
    await tab.press('Don’t link')
    await tab.sees('Sign in')
  },
  async function linksByPassword() {
    await tab.press('Continue with Google')
    await allow(tab, who.email)
    await tab.types({ 'Password of your Larder account': who.password })
    await tab.press('Link and sign in')
    await tab.sees(`Hello, ${who.name}`)
    await other.go('/login')
    await other.press('Continue with Google')
    await allow(other, who.email)
    await other.sees(`Hello, ${who.name}`)
  },
  async function linksAnotherFromTheAccount() {
    await other.follows('Linked')
    await other.sees('Linked accounts', who.email)
    await other.press('Link your Apple account')
    await other.press('Cancel')
    await other.sees('You did not continue with Apple')
    await other.follows('Go to your account')
    await other.press('Link your Apple account')
    await allow(other, atApple)
    await other.sees('Linked accounts', 'The account is linked', atApple)
    await mail(who.email, 'Apple was linked to your account')
  },
  async function unlinks() {
    for (const name of [`Unlink the Apple account ${atApple}`, `Unlink the Google account ${who.email}`]) {
      await other.press(name)
      await other.sees('Linked accounts', 'The account is unlinked')
    }
    await other.reads('No account is linked')
    await mail(who.email, 'Google was unlinked from your account')
  },
  async function keepsTheLastWayIn() {
    const gina = await Visitor.come()
    const email = stranger()
    await gina.go('/login')
    await gina.press('Continue with Google')
    await gina.types({ Email: email, Name: 'Gina Google' })
    await gina.press('Allow')
    await gina.follows('Linked')
    await gina.press(`Unlink the Google account ${email}`)
    await gina.warned('This is the only way into your account')
    await gina.follows('Set one')
    await gina.sees('Security')
    await gina.types({ 'New password': 'forty lazy lemons on a raft' })
    await gina.press('Set my password')
    await gina.sees('Security', 'Your password is changed')
    await gina.follows('Linked')
    await gina.press(`Unlink the Google account ${email}`)
    await gina.sees('Linked accounts', 'The account is unlinked')
    await gina.press('Link your Google account')
    await allow(gina, who.email) // unlinked above, so it is free
    await gina.sees('Linked accounts', 'The account is linked')
  },
)

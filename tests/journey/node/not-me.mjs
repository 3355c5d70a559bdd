// Somebody else has the password and signs in: the mail about it and the list of sign-ins each put an end to that.
import { assert, desk, journey, mail, phone, somebody } from './journey.mjs'

const { Visitor, tell } = journey('not-me')
const who = await somebody()
const [tab, thief, reader] = [await Visitor.come(phone), await Visitor.come(desk), await Visitor.come(desk)]

await tell(
  async function endsItByTheMail() {
    await tab.home(who)
    await thief.home(who)
    const { link } = await mail(who.email, 'New sign-in to your Larder account')
    await reader.go(link)
    await reader.sees('Was this not you?', who.email, 'Chrome on Linux')
    await reader.press('This was not me')
    await reader.sees('That device is signed out', 'may know the password')
    await thief.go('/account')
    await thief.sees('Sign in')
    const again = await reader.anotherTab()
    await again.go(link)
    await again.sees('This link does not work', 'used already')
  },
  async function theThiefIsAskedForACodeFromTheMailbox() {
    await thief.signsIn(who)
    await thief.sees('Get a code')
    await thief.go('/account')
    await thief.sees('Sign in')
  },
  async function asksForALinkToANewPassword() {
    who.password = 'a bicycle made of cinnamon'
    await reader.press('Mail me a link for a new password')
    await reader.sees('Look into your mail', who.email)
    await reader.go((await mail(who.email, 'Choose a new password for Larder')).link)
    await reader.types({ 'New password': who.password })
    await reader.press('Change my password')
    await reader.sees('Your password is changed')
  },
  async function endsItFromTheList() {
    await reader.home(who)
    await tab.home(who)
    await tab.follows('Security')
    await tab.sees('Security', 'Not you?')
    await tab.tab.locator('summary', { hasText: 'Not you?' }).first().click()
    await tab.look()
    await tab.press('This was not me')
    await tab.sees('Security', 'Whoever used it may know your password')
    await reader.go('/account')
    await reader.sees('Sign in')
    await tab.tab.getByRole('link', { name: 'choose a new one now' }).click()
    await tab.tab.keyboard.type(who.password)
    assert.equal(await tab.field('Current password').inputValue(), who.password)
    await tab.types({ 'New password': 'seven quiet herons at dusk' })
    await tab.press('Change my password')
    await tab.sees('Security', 'Your password is changed')
  },
)

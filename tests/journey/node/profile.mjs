// What an account says of its person: name, language, address.
import { assert, journey, mail, somebody, stranger } from './journey.mjs'

const { Visitor, tell } = journey('profile')
const who = await somebody()
const [tab, elsewhere] = [await Visitor.come(), await Visitor.come()]
const address = stranger()
let confirm

await tell(
  async function changesName() {
    await tab.home(who)
    who.name = 'Robin Redbreast'
    await tab.types({ Name: who.name })
    await tab.press('Save')
    await tab.sees(`Hello, ${who.name}`)
  },
  async function choosesALanguage() {
    await tab.tab.getByRole('combobox', { name: 'Language' }).selectOption('de')
    await tab.press('Save')
    await tab.tab.locator('html[lang=de]').waitFor()
    await tab.look()
    await elsewhere.go('/login')
    await elsewhere.signsIn(who)
    await elsewhere.tab.locator('html[lang=de]').waitFor()
    await tab.tab.getByRole('combobox', { name: 'Sprache' }).selectOption('en')
    await tab.press('Speichern')
    await tab.sees(`Hello, ${who.name}`)
  },
  async function asksForAnotherAddress() {
    await tab.unfolds('Change your address')
    await tab.types({ 'New email': address, 'Your password': 'not my password' })
    await tab.press('Change my address')
    await tab.warned('The password is not right')
    assert.equal(await tab.field('New email').inputValue(), address)
    await tab.types({ 'Your password': who.password })
    await tab.press('Change my address')
    await tab.sees(`Hello, ${who.name}`, who.email)
    const told = await mail(who.email, 'Your Larder email address is about to change')
    assert.ok(told.text.includes(address))
    confirm = await mail(address, 'Confirm your new email address for Larder')
  },
  async function confirmsIt() {
    assert.equal((await fetch(confirm.link)).status, 200)
    await tab.go(confirm.link)
    await tab.sees('Use this address?', address)
    await tab.press('Confirm this address')
    await tab.sees('Your address is confirmed')
    await mail(who.email, 'Your Larder email address was changed')
    await tab.go(confirm.link)
    await tab.sees('This link does not work', 'used already')
  },
  async function signsInWithIt() {
    const other = await Visitor.come()
    await other.go('/login')
    await other.signsIn(who)
    await other.warned('not right')
    await other.home({ ...who, email: address })
    await other.reads(address)
  },
)

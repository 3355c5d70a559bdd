// Codes by mail and by text message: the weaker second step, with one or with both.
import { assert, desk, journey, mail, phone, somebody, text } from './journey.mjs'

const { Visitor, tell } = journey('sent-codes')
const who = await somebody()
const [tab, other] = [await Visitor.come(phone), await Visitor.come(desk)]
const number = `+49151${String(Math.floor(Math.random() * 1e8)).padStart(8, '0')}`
const inMail = async () => /^ +(\d{6})\r?$/m.exec((await mail(who.email, 'Your Larder code')).text)[1]
const inText = async () => /^(\d{6}) is your Larder code/m.exec(await text(number))[1]
const wrong = (code) => code.replace(/./, (digit) => (+digit + 1) % 10)

await tell(
  async function turnsCodesByMailOn() {
    await tab.home(who)
    await tab.follows('Security')
    await tab.unfolds('Weaker: codes by email or text message')
    await tab.look()
    await tab.press('Codes by email')
    await tab.sees('Security', 'followed by a code that we send')
    await mail(who.email, 'Codes by email were turned on')
  },
  async function signsInWithACodeFromTheMailbox() {
    await other.go('/login')
    await other.signsIn(who)
    await other.sees('Get a code', who.email)
    const sideways = await other.anotherTab()
    await sideways.go('/account') // nobody is signed in by half
    await sideways.sees('Sign in')
    await other.press(/^Mail a code to/)
    await other.sees('Get a code', 'A code is on its way')
    const code = await inMail()
    await other.types({ 'Code from the message': wrong(code) })
    await other.press('Continue')
    await other.warned('Look at the newest message')
    await other.types({ 'Code from the message': code })
    await other.press('Continue')
    await other.sees(`Hello, ${who.name}`)
  },
  async function turnsCodesByTextMessageOn() {
    await other.follows('Security')
    await other.unfolds('Weaker: codes by email or text message')
    await other.press('Codes by text message')
    await other.sees('Codes by text message', 'With the country code')
    await other.types({ 'Telephone number': '12345' })
    await other.press('Send me a code')
    await other.warned('country code')
    await other.types({ 'Telephone number': number })
    await other.press('Send me a code')
    await other.sees('Codes by text message', `We sent six digits to ${number}`)
    const code = await inText()
    await other.types({ 'Code from the message': wrong(code) })
    await other.press('Turn it on')
    await other.warned('not right')
    await other.types({ 'Code from the message': code })
    await other.press('Turn it on')
    await other.sees('Security', 'Text message')
    await mail(who.email, 'Codes by text message were turned on')
  },
  async function signsInWithACodeFromThePhone() {
    await tab.press('Turn off codes by email') // the second step is on: whoever changes it shows it first
    await tab.sees('Get a code')
    await tab.press(/^Text a code to/)
    await tab.sees('Get a code', 'A code is on its way')
    await tab.types({ 'Code from the message': await inText() })
    await tab.press('Continue')
    await tab.sees('Security')
  },
  async function turnsThemOff() {
    await tab.press('Turn off codes by email')
    await tab.sees('Security', 'followed by a code that we send')
    await tab.press('Turn off codes by text message')
    await tab.sees('Security', 'One step is enough to sign in')
    await other.go('/logout')
    await other.press('Sign out')
    await other.follows('Sign in again')
    await other.signsIn(who)
    await other.sees(`Hello, ${who.name}`)
  },
)

// A passkey on a device that knows its owner by a finger.
import { Visitor, assert, mail, phone, somebody, tell } from './journey.mjs'

const who = await somebody()
const tab = await Visitor.come(phone)
const device = (method, more) => tab.debugger.send(`WebAuthn.${method}`, more)
await device('enable', { enableUI: false })
const { authenticatorId } = await device('addVirtualAuthenticator', { options: {
  protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: false,
} })
// A finger on the sensor, or none.
const finger = (enabled) => device('setAutomaticPresenceSimulation', { authenticatorId, enabled })
const rightOne = (isUserVerified) => device('setUserVerified', { authenticatorId, isUserVerified })

await tell(
  async function makesOne() {
    await tab.home(who)
    await tab.follows('Security')
    await tab.press('Add a passkey')
    await tab.sees('Add a passkey')
    await tab.types({ Name: 'Robin’s phone' })
    await finger(true)
    await tab.press('Add a passkey')
    await tab.sees('Save your recovery codes', 'Your passkey is set up')
    await finger(false)
    await tab.follows('I have saved them')
    await tab.sees('Security', 'Robin’s phone')
    const { credentials } = await device('getCredentials', { authenticatorId })
    assert.equal(credentials.length, 1)
    assert.equal(credentials[0].isResidentCredential, true)
    assert.equal(credentials[0].rpId, 'localhost')
  },
  async function signsInWithoutTyping() {
    await tab.go('/logout')
    await tab.press('Sign out')
    await tab.follows('Sign in again')
    await tab.sees('Sign in')
    await finger(true)
    await tab.press('Sign in with a passkey')
    await tab.sees(`Hello, ${who.name}`)
    await finger(false)
  },
  async function isNotTakenForSomebodyElse() {
    await tab.go('/logout')
    await tab.press('Sign out')
    await tab.follows('Sign in again')
    await rightOne(false)
    await finger(true)
    await tab.button('Sign in with a passkey').click()
    await tab.warned('No passkey was used')
    await rightOne(true)
    await finger(false)
  },
  async function followsThePasswordToo() {
    await tab.signsIn(who)
    await tab.sees('Use your passkey')
    await finger(true)
    await tab.press('Use a passkey')
    await tab.sees(`Hello, ${who.name}`)
    await finger(false)
  },
  async function renamesAndRemovesIt() {
    await tab.follows('Security')
    await tab.unfolds('Change')
    await tab.types({ Name: 'Old phone' })
    await tab.press('Rename')
    await tab.sees('Security', 'Old phone')
    await tab.unfolds('Change')
    await tab.press('Remove Old phone')
    await tab.sees('Security', 'Your password is all that it takes')
    await mail(who.email, '')
  },
)

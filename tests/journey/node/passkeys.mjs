// A passkey on a device that knows its owner by a finger, and on another that has it too.
import { assert, journey, mail, phone, somebody } from './journey.mjs'

const { Visitor, tell } = journey('passkeys')
// Device is a browser with an authenticator.
class Device extends Visitor {
  async open() {
    await super.open()
    await this.debugger.send('WebAuthn.enable', { enableUI: false })
    const { authenticatorId } = await this.debugger.send('WebAuthn.addVirtualAuthenticator', { options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: false,
    } })
    this.asks = (method, more) => this.debugger.send(`WebAuthn.${method}`, { authenticatorId, ...more })
    return this
  }

  // finger says whether there is one on the sensor, and whose.
  async finger(enabled, isUserVerified = true) {
    await this.asks('setUserVerified', { isUserVerified })
    await this.asks('setAutomaticPresenceSimulation', { enabled })
  }

  async credentials() { return (await this.asks('getCredentials')).credentials }

  async signsOut() {
    await this.go('/logout')
    await this.press('Sign out')
  }
}

const who = await somebody()
const [tab, tablet] = [await Device.come(phone), await Device.come()]
// One offers passkeys in the address field, the other has only the button.
await tab.context.addInitScript(() => { PublicKeyCredential.isConditionalMediationAvailable = async () => false })

await tell(
  async function makesOne() {
    await tab.home(who)
    await tab.follows('Security')
    await tab.press('Add a passkey')
    await tab.sees('Add a passkey')
    await tab.types({ Name: 'Robin’s phone' })
    await tab.finger(true)
    await tab.press('Add a passkey')
    await tab.sees('Save your recovery codes', 'Your passkey is set up')
    await tab.follows('I have saved them')
    await tab.sees('Security', 'Robin’s phone')
    const [made, ...more] = await tab.credentials()
    assert.deepEqual([made.isResidentCredential, made.rpId, more], [true, 'localhost', []])
    await mail(who.email, 'A passkey was added')
  },
  async function signsInWithoutTyping() {
    await tab.signsOut()
    await tab.follows('Sign in again')
    await tab.press('Sign in with a passkey')
    await tab.sees(`Hello, ${who.name}`)
  },
  async function isNotTakenForSomebodyElse() {
    await tab.signsOut()
    await tab.follows('Sign in again')
    await tab.finger(true, false)
    await tab.button('Sign in with a passkey').click()
    await tab.warned('No passkey was used')
  },
  async function followsThePasswordToo() {
    await tab.signsIn(who)
    await tab.sees('Use your passkey')
    await tab.finger(true)
    await tab.press('Use a passkey')
    await tab.sees(`Hello, ${who.name}`)
  },
  async function isOfferedItInTheAddressField() {
    const [credential] = await tab.credentials()
    await tablet.asks('addCredential', { credential })
    await tablet.finger(true) // whoever is there takes what the field proposes
    await tablet.go('/login')
    await tablet.sees(`Hello, ${who.name}`)
    await tablet.finger(false)
  },
  async function renamesAndRemovesIt() {
    await tab.go('/account/security')
    await tab.unfolds('Change')
    await tab.types({ Name: 'Old phone' })
    await tab.press('Rename')
    await tab.sees('Security', 'Old phone')
    await tab.unfolds('Change')
    await tab.press('Remove Old phone')
    await tab.sees('Security', 'One step is enough to sign in')
    await mail(who.email, 'A passkey was removed')
    await tablet.go('/account')
    await tablet.sees('Sign in')
  },
)

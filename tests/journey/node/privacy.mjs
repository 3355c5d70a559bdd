// Taking one's data along, and leaving, and staying after all.
import { assert, journey, mail, phone, somebody } from './journey.mjs'

const { Visitor, tell } = journey('privacy')
const who = await somebody()
const [tab, other] = [await Visitor.come(phone), await Visitor.come()]

await tell(
  async function downloads() {
    await tab.home(who)
    await other.home(who)
    await tab.follows('Privacy')
    await tab.sees('Your data')
    await tab.types({ 'Your password': 'not my password' })
    await tab.press('Download my data')
    await tab.warned('The password is not right')
    await tab.types({ 'Your password': who.password })
    const coming = tab.tab.waitForEvent('download')
    await tab.button('Download my data').click()
    const file = await coming
    assert.equal(file.suggestedFilename(), 'larder-account.json')
    const held = JSON.parse(Buffer.concat(await (await file.createReadStream()).toArray()))
    assert.ok(JSON.stringify(held).includes(who.email))
  },
  async function leaves() {
    await tab.go('/account/privacy')
    await tab.unfolds('Delete your account')
    const proof = tab.tab.locator('#delete-password') // the label says the same as that of the download
    await proof.fill('not my password')
    await tab.press('Delete my account')
    await tab.warned('The password is not right')
    await proof.fill(who.password)
    await tab.press('Delete my account')
    await tab.sees('Your account will be deleted', 'You are signed out everywhere')
    await mail(who.email, 'Your Larder account will be deleted')
    await other.go('/account')
    await other.sees('Sign in')
  },
  async function stays() {
    await tab.follows('Sign in to keep it')
    await tab.signsIn(who)
    await tab.sees(`Hello, ${who.name}`, 'Your account will be deleted on')
    await tab.press('Keep my account')
    await tab.sees(`Hello, ${who.name}`)
    await tab.readsNot('Your account will be deleted on')
    await tab.follows('Privacy')
    await tab.sees('Your data')
    await tab.readsNot('Your account will be deleted on')
  },
)

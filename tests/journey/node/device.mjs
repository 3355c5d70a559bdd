// The fridge has no keyboard: its owner lets it in on a telephone.
import { assert, demo, journey, phone, somebody } from './journey.mjs'

const { Visitor, tell } = journey('device')
const who = await somebody()
const tab = await Visitor.come(phone)
const post = async (path, form) => {
  const answer = await fetch(demo.issuer + path, { method: 'POST', body: new URLSearchParams({ client_id: 'cli', ...form }) })
  return { status: answer.status, ...await answer.json() }
}
const fridge = () => post('/device_authorization', { scope: 'openid lists:read' })
const redeem = ({ device_code }) => post('/token', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code })

await tell(
  async function allows() {
    const asked = await fridge()
    await tab.go(asked.verification_uri)
    await tab.sees('Connect a device')
    await tab.types({ Code: 'BBBB-BBBB' })
    await tab.press('Continue')
    await tab.warned('That code is not right')
    await tab.types({ Code: asked.user_code.toLowerCase().replace('-', ' ') })
    await tab.press('Continue')
    await tab.sees('Sign in')
    await tab.signsIn(who)
    await tab.sees('Connect a device with Larder Command Line?', asked.user_code, 'See your shopping lists')
    await tab.press('Allow')
    await tab.sees('Your device is connected')
    const tokens = await redeem(asked)
    assert.equal(tokens.status, 200, JSON.stringify(tokens))
  },
  async function doesNotAllowWhatOthersBegan() {
    const asked = await fridge()
    await tab.go(asked.verification_uri_complete)
    await tab.sees('Connect a device')
    assert.equal(await tab.field('Code').inputValue(), asked.user_code)
    await tab.press('Continue')
    await tab.sees('Connect a device with Larder Command Line?')
    await tab.press('Don’t allow')
    await tab.sees('The device was not connected')
    assert.equal((await redeem(asked)).error, 'access_denied')
    await tab.go(asked.verification_uri_complete)
    await tab.press('Continue')
    await tab.warned('That code is not right')
  },
)

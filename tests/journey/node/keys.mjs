// A key for a display on the fridge: made, shown once, used, and revoked.
import { assert, demo, desk, journey, phone } from './journey.mjs'

const { Visitor, tell } = journey('keys')
const ben = demo.users.find((user) => user.role === 'member')
const tab = await Visitor.come(desk)
const lists = `${demo.api}/v1/families/${demo.family_id}/lists`
const display = (method) => fetch(lists, {
  method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: method === 'POST' ? '{"name":"Party","kind":"shared"}' : undefined,
})
let key

await tell(
  async function makesOne() {
    await tab.home(ben)
    await tab.follows('Keys')
    await tab.sees('API keys', 'It never may more than you')
    await tab.types({ 'What it is for': 'Fridge door' })
    await tab.press('Make the key')
    await tab.warned('Choose something that the key may do')
    assert.equal(await tab.field('What it is for').inputValue(), 'Fridge door')
    await tab.tab.getByLabel('See your shopping lists').check()
    await tab.tab.getByLabel('30 days').check()
    await tab.press('Make the key')
    await tab.sees('Save your API key', 'it is shown only now', 'Fridge door')
    key = await tab.tab.locator('#api-key').innerText()
  },
  async function copiesIt() {
    await tab.context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await tab.button('Copy').click()
    await tab.button('Copied').waitFor()
    assert.equal(await tab.tab.evaluate(() => navigator.clipboard.readText()), key)
  },
  async function itReadsListsAndNothingElse() {
    const seen = await display('GET')
    assert.equal(seen.status, 200)
    assert.ok((await seen.json()).lists.length > 0)
    assert.equal((await display('POST')).status, 403)
  },
  async function isShownOnlyOnce() {
    await tab.follows('I have saved it')
    await tab.sees('API keys', 'Fridge door', key.slice(-4))
    await tab.readsNot(key)
    const small = new Visitor(await tab.context.browser().newContext({ ...phone, locale: 'en', storageState: await tab.context.storageState() }))
    await (await small.open()).go('/account/keys')
    await small.sees('API keys', 'Fridge door')
  },
  async function revokesIt() {
    await tab.press('Revoke the key Fridge door')
    await tab.sees('API keys', 'That key opens nothing any more')
    await tab.readsNot('Fridge door')
    for (const deadline = Date.now() + 60_000; (await display('GET')).status !== 401;) assert.ok(Date.now() < deadline, 'the key still works')
  },
)

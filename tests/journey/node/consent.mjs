// What an app may do: asked, denied, allowed for one list, and taken back.
import { App } from './app.mjs'
import { assert, demo, journey, phone } from './journey.mjs'

const { Visitor, tell } = journey('consent')
const ada = demo.users.find((user) => user.role === 'admin')
const tab = await Visitor.come(phone)
const app = await App.open('Meal Planner', { scope: 'openid profile email offline_access lists:read lists:write', authorization_details_types: ['grocery_list'] })
const lists = `/v1/families/${demo.family_id}/lists`

await tell(
  async function refuses() {
    await tab.go(app.asks('openid email lists:read lists:write'))
    await tab.sees('Sign in', 'Meal Planner')
    await tab.signsIn(ada)
    await tab.sees('Allow Meal Planner to use your Larder account?', ada.email, 'All lists that you can see', 'See your email address')
    await tab.press('Don’t allow')
    await tab.sees('Back at Meal Planner')
    assert.equal(app.receives(tab).error, 'access_denied')
  },
  async function allowsOneList() {
    await tab.go(app.asks('openid offline_access lists:read', { authorization_details: JSON.stringify([
      { type: 'grocery_list', family_id: demo.family_id, list_ids: [demo.lists[0].id], actions: ['view', 'check'] },
    ]) }))
    await tab.sees('Allow Meal Planner to use your Larder account?', `“${demo.lists[0].name}” of`, 'until you take it back', 'Stay connected when you are away')
    await tab.readsNot('All lists that you can see')
    await tab.press('Allow')
    await tab.sees('Back at Meal Planner', 'Welcome')
    await app.redeems(tab)
    const seen = await (await app.calls('GET', lists)).json()
    assert.deepEqual(seen.lists.map((list) => list.id), [demo.lists[0].id])
  },
  async function isNotAskedTwice() {
    await tab.go(app.asks('openid', { prompt: 'none' }))
    await tab.sees('Back at Meal Planner', 'Welcome')
  },
  async function isSentOnByAForm() {
    await tab.go(app.asks('openid', { response_mode: 'form_post' }))
    await tab.sees('Back at Meal Planner', 'Welcome')
    await app.redeems(tab)
    await tab.context.route('**/static/post.*', (script) => script.abort())
    await tab.go(app.asks('openid', { response_mode: 'form_post', ui_locales: 'de' }))
    await tab.sees('Zurück zu Meal Planner')
    await tab.press('Weiter')
    await tab.sees('Back at Meal Planner', 'Welcome')
    await app.redeems(tab)
  },
  async function takesItBack() {
    await tab.go('/account/apps')
    await tab.sees('Apps with access', 'Meal Planner', `“${demo.lists[0].name}” of`)
    await tab.press('Take back access: Meal Planner')
    await tab.sees('Apps with access', 'That app has no access any more')
    const refused = await app.token({ grant_type: 'refresh_token', refresh_token: app.refresh_token })
    assert.equal((await refused.json()).error, 'invalid_grant')
  },
  async function anOldTransactionHasAWayOn() {
    await tab.go(app.asks('openid email'))
    await tab.sees('Allow Meal Planner to use your Larder account?')
    const waiting = tab.tab.url()
    await tab.press('Allow')
    await tab.sees('Back at Meal Planner')
    await tab.go(waiting) // Back, or a bookmark
    await tab.sees('This sign-in is over', 'Go back to the app that you came from and start again')
    await tab.follows('Go to your Larder account')
    await tab.sees(`Hello, ${ada.name}`)
  },
)

// The Next.js app of examples/nextjs, used as people use it: Auth.js signs in, several tabs share a session, and
// signing out works in both directions. Access tokens last a minute here, which to the app means: refresh at once.
import assert from 'node:assert/strict'
import { chromium, newContext, signIn } from './browser.mjs'
import { demo, done, goodbye, please } from './talk.mjs'

const app = process.env.APP
const ada = demo.users.find((user) => user.role === 'admin')
const browser = await chromium()
const context = await newContext(browser)
const tab = await context.newPage()
const enter = async (tab) => {
  await tab.goto(app)
  await tab.getByRole('button', { name: 'Sign in' }).click()
  await signIn(tab, ada, `${app}/`)
  await tab.locator('header', { hasText: ada.name }).waitFor()
}

await enter(tab)
const told = await (await tab.request.get(`${app}/api/auth/session`)).text()
assert(told.includes(ada.id) && !/eyJ|token/i.test(told), told) // who it is, and no token
done('sign-in with Auth.js')

await tab.getByRole('link', { name: 'Weekly groceries' }).click()
await tab.getByLabel('What is missing?').fill('2 l oat milk')
await tab.getByRole('button', { name: 'Add' }).click()
const milk = tab.getByRole('checkbox', { name: /oat milk/ })
await milk.click()
await tab.locator('[aria-checked=true]', { hasText: 'oat milk' }).waitFor()
await tab.reload()
assert.equal(await milk.getAttribute('aria-checked'), 'true')
done('the API: add, check off')

const list = tab.url()
const tabs = [tab, await context.newPage(), await context.newPage()]
for (let round = 0; round < 4; round++) {
  const answers = await Promise.all(tabs.map((each) => each.goto(list)))
  assert.deepEqual(answers.map((answer) => answer.status()), [200, 200, 200])
  for (const each of tabs) assert(await each.getByText('oat milk').isVisible())
}
assert(Number(await please('count refreshes')) > 4)
done('silent refresh in tabs that race')

await please('let the sign-in grow old')
await tab.goto(app)
const remove = tab.getByRole('button', { name: 'Remove Gus Gast' })
await context.clearCookies({ domain: new URL(demo.issuer).hostname }) // the provider has forgotten this browser meanwhile
await remove.click()
await signIn(tab, ada, `${app}/?outcome=fresh`)
await tab.getByText('You have signed in afresh').waitFor()
await remove.click()
await tab.getByText('Removed.').waitFor()
assert.equal(await remove.count(), 0)
done('step-up: the challenge of the API, a fresh sign-in, once more')

await tab.getByRole('button', { name: 'Sign out' }).click()
await tab.getByRole('button', { name: 'Sign in' }).waitFor()
assert.equal(new URL(tab.url()).origin, app)
await tabs[1].goto(list)
await tabs[1].getByRole('button', { name: 'Sign in' }).waitFor()
await tabs[1].goto(`${demo.issuer}/account`)
await tabs[1].locator('input[name=password]').waitFor()
done('sign-out in the app ends the session at the provider')

await enter(tab)
for (const logout_token of ['', 'eyJhbGciOiJub25lIn0.e30.']) {
  assert.equal((await context.request.post(`${app}/api/backchannel-logout`, { form: { logout_token } })).status(), 400)
}
await tabs[1].goto(`${demo.issuer}/logout`)
await tabs[1].locator('button[value=logout]').click()
const deadline = Date.now() + 180_000
while ((await tab.getByRole('button', { name: 'Sign out' }).count()) > 0) {
  assert(Date.now() < deadline, 'the app has not heard of the sign-out')
  await tab.goto(app)
}
await tab.getByRole('button', { name: 'Sign in' }).waitFor()
done('sign-out at the provider ends the session in the app')

const zoe = demo.users.find((user) => user.role === 'stranger')
const link = await please('invite')
const invited = await (await newContext(browser)).newPage()
await invited.goto(link)
await invited.getByText('You are invited to a family').waitFor()
await invited.waitForURL((url) => url.hash === '') // the token is not left in the address bar
await invited.getByRole('button', { name: 'Sign in' }).click()
await signIn(invited, zoe, `${app}/join`)
await invited.getByText(`${ada.name} invites you to`).waitFor()
await invited.getByText('as a member').waitFor()
await invited.getByRole('button', { name: 'Join' }).click()
await invited.getByText('Welcome to the family').waitFor()
await invited.getByRole('link', { name: 'Weekly groceries' }).waitFor()
await invited.goto(link)
await invited.getByText('already').waitFor()

const late = await (await newContext(browser)).newPage()
await late.goto(link)
await late.getByRole('button', { name: 'Sign in' }).click()
await signIn(late, demo.users.find((user) => user.role === 'guest'), `${app}/join`)
await late.getByText('not good any more').waitFor()
await (await late.context().newPage()).goto(`${app}/join`)
await late.context().pages()[1].getByText('there is none here').waitFor()
done('an invitation: by whom, to what, joined once')

await browser.close()
goodbye()

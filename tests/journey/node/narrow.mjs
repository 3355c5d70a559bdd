// The longest words on the narrowest screen (WCAG 2.2 SC 1.4.10): every page with an address of its own, in the
// languages that have longer ones than English.
import { assert, demo, journey } from './journey.mjs'

const { Visitor, tell } = journey('narrow')
const ada = demo.users.find((user) => user.role === 'admin')
const tab = await Visitor.come({ viewport: { width: 320, height: 640 }, colorScheme: 'light' })

async function reads(...pages) {
  for (const page of pages) {
    for (const language of ['de', 'fr']) {
      await tab.go(`${page}?ui_locales=${language}`)
      await tab.tab.locator(`html[lang=${language}] h1`).waitFor()
      await tab.fits()
      const burst = await tab.asksPage('[...document.forms].filter((form) => form.scrollWidth > form.clientWidth).map((form) => form.outerHTML)')
      assert.deepEqual(burst, [], `${page} in ${language}`)
    }
  }
}

await tell(
  async function readsBeforeSigningIn() {
    await reads('/login', '/register', '/forgot', '/device', '/nowhere')
  },
  async function readsTheAccount() {
    await tab.home(ada)
    await reads(...['', '/security', '/sessions', '/apps', '/requests', '/identities', '/keys', '/privacy'].map((page) => `/account${page}`), '/logout')
  },
)

// A real browser, for apps that others' libraries run in.
import { chromium as playwright } from 'playwright-core'

export const chromium = () => playwright.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'], timeout: 180_000 })

export async function newContext(browser, options) {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(180_000) // a machine may be busy
  return context
}

// The tab has been sent to the provider; it ends where `back` says.
export async function signIn(tab, user, back) {
  await tab.locator('input[name=email]').fill(user.email)
  await tab.locator('input[name=password]').fill(user.password)
  await tab.locator('button[value=login]').click()
  const allow = tab.locator('button[value=allow]')
  await Promise.race([tab.waitForURL(back), allow.waitFor()]).catch(() => {})
  if (await allow.isVisible()) await allow.click()
  await tab.waitForURL(back)
}

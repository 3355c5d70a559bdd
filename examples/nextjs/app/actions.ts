'use server'
// What the buttons do. Each action runs on the server; Next.js lets only this app's own pages call it.
import { revalidatePath } from 'next/cache'
import { redirect } from 'next/navigation'
import { auth, signIn, signOut } from '@/auth'
import { larder, type Preview, Refused, StepUp } from '@/lib/api'
import { CLIENT_ID, HERE, metadata } from '@/lib/provider'
import { sessions } from '@/lib/sessions'

export async function enter() {
  await signIn('larder', { redirectTo: '/' })
}

/** Signs in for the page of an invitation, which waits in the browser meanwhile. */
export async function enterToJoin() {
  await signIn('larder', { redirectTo: '/join' })
}

/** What the invitation is to; null for one that is no good, or not any more. */
export async function previewInvitation(token: string): Promise<Preview | null> {
  try {
    return await larder<Preview>('POST', '/v1/invitations/preview', { token: String(token) })
  } catch (err) {
    if (err instanceof Refused) return null
    throw err
  }
}

export async function acceptInvitation(form: FormData) {
  let outcome = 'joined'
  try {
    await larder('POST', '/v1/invitations/accept', { token: String(form.get('token')), display_name: String(form.get('display_name')) })
  } catch (err) {
    if (!(err instanceof Refused)) throw err
    outcome = 'too-late'
  }
  redirect(`/?outcome=${outcome}`)
}

/** Signs out here and at the provider, which tells every other app of this session (RP-Initiated Logout 1.0). */
export async function leave() {
  const session = await auth()
  const held = session && (await sessions.get(session.sid))
  if (session) await sessions.end(session.sid)
  await signOut({ redirect: false })
  if (!held) redirect('/')
  const farewell = new URL((await metadata()).end_session_endpoint)
  farewell.search = new URLSearchParams({
    client_id: CLIENT_ID,
    id_token_hint: held.idToken,
    post_logout_redirect_uri: `${HERE}/`,
  }).toString()
  redirect(farewell.href)
}

export async function addItem(form: FormData) {
  const at = listOf(form)
  await larder('POST', `${at}/items`, { text: String(form.get('text')) })
  revalidatePath(page(at))
}

export async function checkItem(form: FormData) {
  const at = listOf(form)
  await larder(form.get('checked') ? 'DELETE' : 'PUT', `${at}/items/${segment(form, 'item')}/check`)
  revalidatePath(page(at))
}

/**
 * Takes somebody out of the family. The API wants a sign-in of the last minutes for that, and says so by a challenge
 * (RFC 9470). We pass its demands on to the provider; the person signs in, comes back to the page, and presses again.
 */
export async function removeMember(form: FormData) {
  const family = segment(form, 'family')
  let outcome: string
  try {
    await larder('DELETE', `/v1/families/${family}/members/${segment(form, 'member')}`)
    outcome = 'removed'
  } catch (err) {
    if (err instanceof StepUp) {
      await signIn('larder', { redirectTo: '/?outcome=fresh' }, err.demands)
      return
    }
    if (!(err instanceof Refused)) throw err // a redirect of Next.js is thrown as well
    outcome = 'refused'
  }
  redirect(`/?outcome=${outcome}`)
}

const listOf = (form: FormData) => `/v1/families/${segment(form, 'family')}/lists/${segment(form, 'list')}`
const page = (at: string) => at.slice('/v1'.length)

/** A form can hold anything, and this becomes part of an address. */
function segment(form: FormData, name: string): string {
  return encodeURIComponent(String(form.get(name)))
}

// An access token that is good for a while, refreshed when it is not.
import 'server-only'
import { CLIENT_ID, CLIENT_SECRET, metadata } from '@/lib/provider'
import { sessions } from '@/lib/sessions'

const EARLY = 60_000 // a token that ends within a minute might end on its way

/**
 * Returns the session's access token, or undefined when the session is over.
 *
 * Two tabs, or two replicas, may well refresh at the same moment, with the same refresh token. Nothing here keeps them
 * apart, because nothing needs to: for 30 seconds Larder gives the same successor to whoever shows the same token. It
 * does so as well when an answer was lost and we ask again. What matters is that no late answer overwrites a newer
 * one, which `replace` sees to.
 */
export async function accessToken(sid: string): Promise<string | undefined> {
  const held = await sessions.get(sid)
  if (!held) return undefined
  if (Date.now() < held.expiresAt - EARLY) return held.accessToken

  const response = await fetch((await metadata()).token_endpoint, {
    method: 'POST',
    cache: 'no-store',
    headers: { authorization: basic(CLIENT_ID, CLIENT_SECRET) },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: held.refreshToken }),
    signal: AbortSignal.timeout(10_000),
  })
  const answer = await response.json().catch(() => ({}))
  if (answer.error === 'invalid_grant') {
    // Signed out, disabled, or the refresh token ran out. Only this error means that the session is over.
    await sessions.end(sid)
    return undefined
  }
  // The provider is down or busy. The session stays, and the next request tries again.
  if (!response.ok) throw new Error(`refresh: ${response.status} ${answer.error ?? ''}`)
  await sessions.replace(sid, held.refreshToken, {
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token ?? held.refreshToken,
    idToken: answer.id_token ?? held.idToken,
    expiresAt: Date.now() + answer.expires_in * 1000,
  })
  return answer.access_token
}

/** RFC 6749 §2.3.1: both parts are encoded as in a form before they are put together. */
function basic(id: string, secret: string): string {
  const encode = (part: string) => new URLSearchParams([['', part]]).toString().slice(1)
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`
}

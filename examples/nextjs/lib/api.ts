// The grocery API, called for the person who is signed in.
import 'server-only'
import { redirect } from 'next/navigation'
import { auth } from '@/auth'
import { API } from '@/lib/provider'
import { sessions } from '@/lib/sessions'
import { accessToken } from '@/lib/tokens'

export type Family = { id: string; name: string; role: string }
export type Member = { user_id: string; display_name: string; role: string; version: number }
export type List = { id: string; family_id: string; name: string; kind: string }
export type Item = { id: string; name: string; quantity: number | null; unit: string; checked: boolean }
/** What an invitation is to. */
export type Preview = {
  family_name: string
  role: 'admin' | 'member' | 'guest'
  lists: string[]
  invited_by: string | null
  member_as: string | null
}

/** The API said no, in words for people (RFC 9457). */
export class Refused extends Error {}

/** The API wants a fresher or stronger sign-in first (RFC 9470). `demands` go into the authorization request. */
export class StepUp extends Error {
  constructor(readonly demands: Record<string, string>) {
    super('a fresh sign-in is needed')
  }
}

/** Calls the API. Without a session, or with one that has ended, the person gets to the start page. */
export async function larder<T>(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<T> {
  const session = await auth()
  const token = session && (await accessToken(session.sid))
  if (!session || !token) redirect('/')

  const response = await fetch(API + path, {
    method,
    cache: 'no-store',
    headers: { ...headers, authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  })
  if (response.ok) return response.status === 204 ? (undefined as T) : response.json()

  if (response.status === 401) {
    const challenge = response.headers.get('www-authenticate') ?? ''
    const parameter = (name: string) => challenge.match(new RegExp(`${name}="([^"]*)"`))?.[1]
    if (parameter('error') === 'insufficient_user_authentication') {
      const demands = ['max_age', 'acr_values'].map((name) => [name, parameter(name)] as const)
      throw new StepUp(Object.fromEntries(demands.filter((pair): pair is [string, string] => Boolean(pair[1]))))
    }
    await sessions.end(session.sid) // the token was revoked
    redirect('/')
  }
  const problem = await response.json().catch(() => ({}))
  throw new Refused(problem.detail ?? `The API answered ${response.status}.`)
}

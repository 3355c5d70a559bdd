// The identity provider and the API, as the environment names them.
import 'server-only'
import { cache } from 'react'

export const ISSUER = required('AUTH_LARDER_ISSUER')
export const CLIENT_ID = required('AUTH_LARDER_ID')
export const CLIENT_SECRET = required('AUTH_LARDER_SECRET')
export const API = required('LARDER_API')
/** Where this app is, without a slash at the end. */
export const HERE = required('AUTH_URL')

type Metadata = { issuer: string; token_endpoint: string; end_session_endpoint: string; jwks_uri: string }

/** What the provider says of itself (OpenID Connect Discovery 1.0 §4). */
export const metadata = cache(async (): Promise<Metadata> => {
  const response = await fetch(`${ISSUER}/.well-known/openid-configuration`, { next: { revalidate: 300 } })
  if (!response.ok) throw new Error(`discovery: ${response.status}`)
  const found: Metadata = await response.json()
  if (found.issuer !== ISSUER) throw new Error(`discovery: the issuer is ${found.issuer}`)
  return found
})

function required(name: string): string {
  const value = process.env[name]
  // `next build` knows no settings yet, and needs none.
  if (!value && process.env.NEXT_PHASE !== 'phase-production-build') throw new Error(`${name} must be set; see README.md`)
  return value ?? ''
}

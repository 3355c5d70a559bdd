// The provider tells us here that somebody has signed out elsewhere (OpenID Connect Back-Channel Logout 1.0). It comes
// without cookies; the logout token is all there is to go by.
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { CLIENT_ID, ISSUER, metadata } from '@/lib/provider'
import { sessions } from '@/lib/sessions'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

let keys: ReturnType<typeof createRemoteJWKSet> | undefined // it keeps the keys, and fetches them anew for one it does not know

export async function POST(request: Request): Promise<Response> {
  try {
    const token = String((await request.formData()).get('logout_token'))
    keys ??= createRemoteJWKSet(new URL((await metadata()).jwks_uri))
    const { payload } = await jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: CLIENT_ID,
      typ: 'logout+jwt', // no ID token passes for one
      requiredClaims: ['iat', 'exp', 'jti'],
      clockTolerance: 5,
    })
    // §2.6. A token that comes twice ends what has ended already, so its jti need not be remembered.
    const events = payload.events as Record<string, unknown> | undefined
    if (!events?.[EVENT] || 'nonce' in payload) throw new Error('not a logout token')
    if (typeof payload.sid === 'string') await sessions.end(payload.sid)
    else if (payload.sub) await sessions.endAllOf(payload.sub)
    else throw new Error('neither sid nor sub')
    return new Response(null, { status: 200, headers: { 'cache-control': 'no-store' } })
  } catch (err) {
    console.warn('logout token refused:', String(err))
    return Response.json({ error: 'invalid_request' }, { status: 400, headers: { 'cache-control': 'no-store' } })
  }
}

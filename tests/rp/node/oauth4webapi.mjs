import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import { demo, done, goodbye, open } from './talk.mjs'

const { web } = demo.clients
const ada = demo.users.find((user) => user.role === 'admin')
const issuer = new URL(demo.issuer)
const plain = { [oauth.allowInsecureRequests]: true } // http on loopback
const client = { client_id: web.client_id }
const secret = oauth.ClientSecretBasic(web.client_secret)
const redirect_uri = web.redirect_uris[0]

// The same metadata by both names: OpenID Connect Discovery 1.0 and RFC 8414.
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...plain }))
const oauth2 = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain }))
assert.equal(as.token_endpoint, oauth2.token_endpoint)
assert.equal(as.authorization_response_iss_parameter_supported, true)
done('discovery by OpenID Connect and by RFC 8414')

const verifier = oauth.generateRandomCodeVerifier()
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
const address = new URL(as.authorization_endpoint)
address.search = new URLSearchParams({
  client_id: client.client_id, redirect_uri, response_type: 'code', scope: 'openid offline_access lists:read', resource: demo.api,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', state, nonce,
})
const parameters = oauth.validateAuthResponse(as, client, await open(address), state)
const response = await oauth.authorizationCodeGrantRequest(as, client, secret, parameters, redirect_uri, verifier, plain)
const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, requireIdToken: true })
await oauth.validateApplicationLevelSignature(as, response, plain)
assert.equal(oauth.getValidatedIdTokenClaims(tokens).sub, ada.id)
assert.equal(tokens.expires_in, 300)
done('code flow; signature of the ID token')

// The resource server's side: RFC 9068.
const request = new Request(demo.api, { headers: { authorization: `Bearer ${tokens.access_token}` } })
const claims = await oauth.validateJwtAccessToken(as, request, demo.api, plain)
assert.equal(claims.sub, ada.id)
assert.equal(claims.client_id, web.client_id)
assert(claims.scope.split(' ').includes('lists:read'))
done('access token of RFC 9068')

const info = await oauth.processUserInfoResponse(as, client, ada.id, await oauth.userInfoRequest(as, client, tokens.access_token, plain))
assert.equal(info.sub, ada.id)
done('userinfo')

// A lost response: the same refresh token again at once gives the same successor.
const refresh = async (token) =>
  oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, secret, token, plain))
const [one, two] = await Promise.all([refresh(tokens.refresh_token), refresh(tokens.refresh_token)])
assert.notEqual(one.refresh_token, tokens.refresh_token)
assert.equal(one.refresh_token, two.refresh_token)
done('refresh, twice at once')

const introspect = async (token) =>
  oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, secret, token, plain))
assert.equal((await introspect(one.access_token)).active, true)
await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, secret, one.refresh_token, plain))
assert.equal((await introspect(one.refresh_token)).active, false)
await assert.rejects(refresh(one.refresh_token), { error: 'invalid_grant' })
done('introspection and revocation')

const logout = new URL(as.end_session_endpoint)
logout.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: web.post_logout_redirect_uris[0], state: 'bye' })
assert.equal((await open(logout)).href, `${web.post_logout_redirect_uris[0]}?state=bye`)
done('logout')
goodbye()

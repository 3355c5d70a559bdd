// The fapi2 profile by oauth4webapi: private_key_jwt, PAR, DPoP, and the answer signed.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import { demo, done, goodbye, open } from './talk.mjs'

const { fapi } = demo.clients
const ada = demo.users.find((user) => user.role === 'admin')
const issuer = new URL(demo.issuer)
const plain = { [oauth.allowInsecureRequests]: true } // http on loopback
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, plain))
const client = { client_id: fapi.client_id, introspection_signed_response_alg: 'ES256' }
const jwk = fapi.jwks.keys[0]
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const byKey = oauth.PrivateKeyJwt({ key, kid: jwk.kid })
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
const proven = { DPoP, ...plain }

const verifier = oauth.generateRandomCodeVerifier()
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
const pushed = await oauth.processPushedAuthorizationResponse(as, client, await oauth.pushedAuthorizationRequest(as, client, byKey, {
  redirect_uri: fapi.redirect_uris[0], response_type: 'code', response_mode: 'jwt', scope: 'openid offline_access lists:read', resource: demo.api,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', state, nonce,
}, proven))
const address = new URL(as.authorization_endpoint)
address.search = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri })
const back = await open(address)
assert.deepEqual([...back.searchParams.keys()], ['response'])
const parameters = await oauth.validateJwtAuthResponse(as, client, back, state, plain)
done('PAR with private_key_jwt and a proof; the answer in a signed response')

const exchange = (options) =>
  oauth.authorizationCodeGrantRequest(as, client, byKey, parameters, fapi.redirect_uris[0], verifier, options)
await assert.rejects(oauth.processAuthorizationCodeResponse(as, client, await exchange(plain)), { error: 'invalid_dpop_proof' })
const response = await exchange(proven)
const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, requireIdToken: true })
await oauth.validateApplicationLevelSignature(as, response, plain)
assert.equal(oauth.getValidatedIdTokenClaims(tokens).sub, ada.id)
assert.equal(tokens.token_type, 'dpop') // oauth4webapi writes it small
done('the code, with a proof only')

const thief = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
const lists = new URL(`${demo.api}/v1/families/${demo.family_id}/lists`)
async function works(token) {
  const info = await oauth.processUserInfoResponse(as, client, ada.id, await oauth.userInfoRequest(as, client, token, proven))
  assert.equal(info.sub, ada.id)
  assert.equal((await oauth.protectedResourceRequest(token, 'GET', lists, undefined, undefined, proven)).status, 200)
  for (const options of [plain, { ...proven, DPoP: thief }]) {
    await assert.rejects(oauth.protectedResourceRequest(token, 'GET', lists, undefined, undefined, options), { status: 401 })
  }
}
await works(tokens.access_token)
done('userinfo and the API, for the holder of the key alone')

const fresh = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, byKey, tokens.refresh_token, proven))
assert.equal(fresh.refresh_token, tokens.refresh_token)
await works(fresh.access_token)
done('refresh')

const introspect = async (token) => {
  const response = await oauth.introspectionRequest(as, client, byKey, token, { requestJwtResponse: true, ...plain })
  const said = await oauth.processIntrospectionResponse(as, client, response)
  await oauth.validateApplicationLevelSignature(as, response, plain)
  return said
}
const said = await introspect(fresh.access_token)
assert.equal(said.active, true)
assert.equal(said.cnf.jkt, await DPoP.calculateThumbprint())
await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, byKey, fresh.refresh_token, plain))
assert.equal((await introspect(fresh.refresh_token)).active, false)
done('signed introspection, and revocation')
goodbye()

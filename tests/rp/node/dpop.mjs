import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { demo, done, goodbye, open } from './talk.mjs'

const { spa, fapi } = demo.clients
const ada = demo.users.find((user) => user.role === 'admin')
const issuer = new URL(demo.issuer)
const plain = { execute: [client.allowInsecureRequests] } // http on loopback
const lists = new URL(`${demo.api}/v1/families/${demo.family_id}/lists`)
const scope = 'openid email offline_access lists:read'

// Whoever lacks the key can do nothing with what it was issued for.
async function boundToItsKey(config, tokens, DPoP) {
  assert.equal(tokens.token_type, 'dpop') // openid-client writes it small
  assert.equal((await client.fetchUserInfo(config, tokens.access_token, ada.id, { DPoP })).email, ada.email)
  const own = await client.fetchProtectedResource(config, tokens.access_token, lists, 'GET', undefined, undefined, { DPoP })
  assert.equal(own.status, 200)
  const thief = client.getDPoPHandle(config, await client.randomDPoPKeyPair())
  for (const options of [{}, { DPoP: thief }]) {
    for (const url of [lists, new URL(config.serverMetadata().userinfo_endpoint)]) {
      const attempt = client.fetchProtectedResource(config, tokens.access_token, url, 'GET', undefined, undefined, options)
      const challenge = await attempt.then((response) => response.headers.get('www-authenticate'), (err) => err.response.headers.get('www-authenticate'))
      assert.match(challenge, /^DPoP .*error="invalid_token"/)
    }
  }
}

// A public client: its refresh tokens are bound as well.
const phone = await client.discovery(issuer, spa.client_id, {}, client.None(), plain)
assert.deepEqual(phone.serverMetadata().dpop_signing_alg_values_supported, ['ES256', 'EdDSA', 'PS256'])
// Libraries begin to call EdDSA by its curve (RFC 9864); the name of RFC 8037 is the one that everybody knows.
const spell = { [client.modifyAssertion]: (header) => { header.alg = header.alg.replace('Ed25519', 'EdDSA') } }
for (const alg of ['ES256', 'PS256', 'Ed25519']) {
  const DPoP = client.getDPoPHandle(phone, await client.randomDPoPKeyPair(alg), spell)
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const back = await open(client.buildAuthorizationUrl(phone, {
    redirect_uri: spa.redirect_uris[0], scope, resource: demo.api, state: expectedState,
    dpop_jkt: await DPoP.calculateThumbprint(),
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  }))
  const tokens = await client.authorizationCodeGrant(phone, back, { pkceCodeVerifier, expectedState }, undefined, { DPoP })
  await boundToItsKey(phone, tokens, DPoP)
  await assert.rejects(client.refreshTokenGrant(phone, tokens.refresh_token), { error: 'invalid_grant' })
  const fresh = await client.refreshTokenGrant(phone, tokens.refresh_token, undefined, { DPoP })
  assert.notEqual(fresh.refresh_token, tokens.refresh_token)
  await boundToItsKey(phone, fresh, DPoP)
  done(`public client, ${alg}: dpop_jkt, code, userinfo, the API, refresh`)
}

// The fapi2 profile: PAR, private_key_jwt, DPoP, and a refresh token that stays.
const jwk = fapi.jwks.keys[0]
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const bank = await client.discovery(issuer, fapi.client_id, {}, client.PrivateKeyJwt({ key, kid: jwk.kid }), plain)
const DPoP = client.getDPoPHandle(bank, await client.randomDPoPKeyPair())
const pkceCodeVerifier = client.randomPKCECodeVerifier()
const request = {
  redirect_uri: fapi.redirect_uris[0], scope, resource: demo.api,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
}
const back = await open(await client.buildAuthorizationUrlWithPAR(bank, request, { DPoP }))
await assert.rejects(client.authorizationCodeGrant(bank, back, { pkceCodeVerifier }), { error: 'invalid_dpop_proof' })
const tokens = await client.authorizationCodeGrant(bank, back, { pkceCodeVerifier }, undefined, { DPoP })
await boundToItsKey(bank, tokens, DPoP)
const fresh = await client.refreshTokenGrant(bank, tokens.refresh_token, undefined, { DPoP })
assert.equal(fresh.refresh_token, tokens.refresh_token)
await boundToItsKey(bank, fresh, DPoP)
done('fapi2: PAR, private_key_jwt, DPoP, refresh')

const own = await client.clientCredentialsGrant(bank, { scope: 'lists:read', resource: demo.api }, { DPoP })
assert.equal(own.token_type, 'dpop')
const said = await client.tokenIntrospection(bank, own.access_token)
assert.equal(said.cnf.jkt, await DPoP.calculateThumbprint())
done('fapi2: client_credentials, introspection')
goodbye()

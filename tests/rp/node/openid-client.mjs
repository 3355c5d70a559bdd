import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { demo, done, goodbye, open } from './talk.mjs'

const { web, machine } = demo.clients
const ada = demo.users.find((user) => user.role === 'admin')
const issuer = new URL(demo.issuer)
const plain = { execute: [client.allowInsecureRequests] } // http on loopback
const redirect_uri = web.redirect_uris[0]

const config = await client.discovery(issuer, web.client_id, {}, client.ClientSecretBasic(web.client_secret), plain)
assert.equal(config.serverMetadata().issuer, demo.issuer)
assert(config.serverMetadata().supportsPKCE())
done('discovery')

async function signIn(config, redirect_uri, scope) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const back = await open(client.buildAuthorizationUrl(config, {
    redirect_uri, scope, resource: demo.api,
    state: expectedState, nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  }))
  // Without a port of its own the registered loopback address stands for any.
  return client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true })
}

const tokens = await signIn(config, redirect_uri, 'openid profile email offline_access lists:read')
assert.equal(tokens.claims().sub, ada.id)
assert.equal(tokens.expires_in, 300)
done('code flow with PKCE, state, nonce and iss; ID token')

const info = await client.fetchUserInfo(config, tokens.access_token, ada.id)
assert.equal(info.email, ada.email)
done('userinfo')

const fresh = await client.refreshTokenGrant(config, tokens.refresh_token)
assert.notEqual(fresh.refresh_token, tokens.refresh_token)
done('refresh')

const lists = await client.fetchProtectedResource(config, fresh.access_token, new URL(`${demo.api}/v1/families/${demo.family_id}/lists`), 'GET')
assert.equal(lists.status, 200)
done('the API')

assert.equal((await client.tokenIntrospection(config, fresh.access_token)).active, true)
await client.tokenRevocation(config, fresh.refresh_token)
await assert.rejects(client.refreshTokenGrant(config, fresh.refresh_token), { error: 'invalid_grant' })
assert.equal((await client.tokenIntrospection(config, fresh.refresh_token)).active, false)
done('introspection and revocation')

const robot = await client.discovery(issuer, machine.client_id, {}, client.ClientSecretBasic(machine.client_secret), plain)
const own = await client.clientCredentialsGrant(robot, { scope: 'family:read', resource: demo.api })
assert.equal(own.refresh_token, undefined)
const family = await client.fetchProtectedResource(robot, own.access_token, new URL(`${demo.api}/v1/families/${demo.family_id}`), 'GET')
assert.equal(family.status, 200)
done('client_credentials')

const spa = await client.discovery(issuer, demo.clients.spa.client_id, {}, client.None(), plain)
const open_port = demo.clients.spa.redirect_uris[0].replace('127.0.0.1', '127.0.0.1:49152')
assert.equal((await signIn(spa, open_port, 'openid')).claims().sub, ada.id)
done('public client at a loopback port of its own')

const logout = client.buildEndSessionUrl(config, {
  id_token_hint: tokens.id_token, post_logout_redirect_uri: web.post_logout_redirect_uris[0], state: 'bye',
})
const left = await open(logout)
assert.equal(left.href, `${web.post_logout_redirect_uris[0]}?state=bye`)
done('logout')
goodbye()

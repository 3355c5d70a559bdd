import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import * as client from 'openid-client'
import { demo, done, goodbye, open } from './talk.mjs'

const ada = demo.users.find((user) => user.role === 'admin')
const issuer = new URL(demo.issuer)
const plain = { execute: [client.allowInsecureRequests] } // http on loopback
const redirect_uri = 'http://127.0.0.1/callback'

// The client publishes its keys, and changes them whenever it likes.
const published = { keys: [] }
const server = createServer((_, response) => response.end(JSON.stringify(published)))
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const jwks_uri = `http://127.0.0.1:${server.address().port}/jwks`
const current = {} // clientAuthentication below signs with what is here
async function newKey(kid) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  published.keys = [{ kty, crv, x, y, kid, use: 'sig', alg: 'ES256' }]
  Object.assign(current, { key: pair.privateKey, kid })
}
await newKey('one')
const byKey = (...args) => client.PrivateKeyJwt({ ...current })(...args)

const notary = await client.dynamicClientRegistration(issuer, {
  client_name: 'Notary', redirect_uris: [redirect_uri], grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'private_key_jwt', jwks_uri, require_signed_request_object: true, request_object_signing_alg: 'ES256',
  id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'EdDSA', introspection_signed_response_alg: 'ES256',
  scope: 'openid email offline_access lists:read',
}, byKey, plain)
// Libraries begin to call EdDSA by its curve (RFC 9864) and take either name.
assert(notary.serverMetadata().authorization_signing_alg_values_supported.includes('EdDSA'))
client.useJwtResponseMode(notary)
done('registration with jwks_uri')

async function signIn(build) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()]
  const back = await open(await build(notary, {
    redirect_uri, scope: 'openid email offline_access lists:read', resource: demo.api, state: expectedState, nonce: expectedNonce, max_age: 3600,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  }))
  assert.deepEqual([...back.searchParams.keys()], ['response'])
  return client.authorizationCodeGrant(notary, back, { pkceCodeVerifier, expectedState, expectedNonce, maxAge: 3600 })
}

const jar = (config, parameters) => client.buildAuthorizationUrlWithJAR(config, parameters, { ...current })
const tokens = await signIn(jar)
assert.equal(tokens.claims().sub, ada.id)
done('signed request, signed response')

await newKey('two')
const fresh = await client.refreshTokenGrant(notary, tokens.refresh_token)
assert.notEqual(fresh.refresh_token, tokens.refresh_token)
done('refresh with a key that was published a moment ago')

const pushed = await signIn(async (config, parameters) => {
  const signed = await jar(config, parameters)
  return client.buildAuthorizationUrlWithPAR(config, { request: signed.searchParams.get('request') })
})
assert.equal(pushed.claims().sub, ada.id)
done('signed request, pushed; signed response')

const unsigned = await open(client.buildAuthorizationUrl(notary, {
  redirect_uri, scope: 'openid', code_challenge: await client.calculatePKCECodeChallenge('x'.repeat(43)), code_challenge_method: 'S256',
}))
await assert.rejects(client.authorizationCodeGrant(notary, unsigned, { pkceCodeVerifier: 'x'.repeat(43) }), { error: 'invalid_request' })
done('an unsigned request is refused, in a signed response')

const said = await client.tokenIntrospection(notary, pushed.access_token) // checks type, signature's algorithm, issuer and audience
assert.equal(said.active, true)
assert.equal(said.client_id, notary.clientMetadata().client_id)
done('signed introspection')

// client_secret_jwt: the secret signs and does not travel.
const secretive = await client.dynamicClientRegistration(issuer, {
  client_name: 'Secretive', grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_jwt', scope: 'family:read',
}, undefined, plain)
const { client_id, client_secret } = secretive.clientMetadata()
const byHMAC = await client.discovery(issuer, client_id, {}, client.ClientSecretJwt(client_secret), plain)
assert.equal((await client.clientCredentialsGrant(byHMAC, { resource: demo.api })).scope, 'family:read')
const inTheOpen = await client.discovery(issuer, client_id, {}, client.ClientSecretPost(client_secret), plain)
await assert.rejects(client.clientCredentialsGrant(inTheOpen, { resource: demo.api }), { status: 401 })
done('client_secret_jwt')
server.close()
goodbye()

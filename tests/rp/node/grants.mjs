// Tokens for other tokens: token exchange (RFC 8693) and JWT bearer (RFC 7523), by the libraries' generic grants. CLIENTS
// are those that an operator has made, PARTNER_KEY is the private key of https://partner.example, whom he trusts.
import assert from 'node:assert/strict'
import { decodeJwt, generateKeyPair, importJWK, SignJWT } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { demo, done, goodbye, open } from './talk.mjs'

const { web } = demo.clients
const clients = JSON.parse(process.env.CLIENTS)
const ada = demo.users.find((user) => user.role === 'admin')
const issuer = new URL(demo.issuer)
const plain = { execute: [client.allowInsecureRequests] } // http on loopback
const lists = `${demo.api}/v1/families/${demo.family_id}/lists`
const reads = async (token) => (await fetch(lists, { headers: { authorization: `Bearer ${token}` } })).status
const discovered = ({ client_id, client_secret }) => client.discovery(issuer, client_id, {}, client.ClientSecretBasic(client_secret), plain)

const config = await discovered(web)
const pkceCodeVerifier = client.randomPKCECodeVerifier()
const back = await open(client.buildAuthorizationUrl(config, {
  redirect_uri: web.redirect_uris[0], scope: 'openid lists:read lists:write', resource: demo.api,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
}))
const tokens = await client.authorizationCodeGrant(config, back, { pkceCodeVerifier })

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const gateway = await discovered(clients.gateway)
const passedOn = {
  subject_token: tokens.access_token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', scope: 'lists:read', resource: demo.api,
}
await assert.rejects(client.genericGrantRequest(await discovered(clients.stranger), exchange, passedOn), { error: 'invalid_request' })
const delegated = await client.genericGrantRequest(gateway, exchange, passedOn)
const claims = decodeJwt(delegated.access_token)
assert.deepEqual([claims.sub, claims.client_id, claims.act.sub, claims.scope], [ada.id, clients.gateway.client_id, clients.gateway.client_id, 'lists:read'])
assert.equal(delegated.issued_token_type, passedOn.subject_token_type)
assert.equal(await reads(delegated.access_token), 200)
assert.equal((await fetch(lists, { method: 'POST', headers: { authorization: `Bearer ${delegated.access_token}`, 'content-type': 'application/json' }, body: '{"name":"Party"}' })).status, 403)
await assert.rejects(client.genericGrantRequest(gateway, exchange, { ...passedOn, actor_token: tokens.access_token, actor_token_type: passedOn.subject_token_type }), { error: 'invalid_request' })
done('openid-client: a token passed on, with who acts; by whom the operator allows it, and for no more')

const as = gateway.serverMetadata()
const options = { [oauth.allowInsecureRequests]: true }
async function generic({ client_id, client_secret }, grant, parameters) {
  const self = { client_id }
  const response = await oauth.genericTokenEndpointRequest(as, self, oauth.ClientSecretBasic(client_secret), grant, parameters, options)
  return oauth.processGenericTokenEndpointResponse(as, self, response)
}
const short = await generic(clients.gateway, exchange, {
  subject_token: demo.api_key, subject_token_type: 'urn:larder:params:oauth:token-type:api_key', resource: demo.api,
})
assert.equal(await reads(short.access_token), 200)
done('oauth4webapi: an API key for a short token')

const privateKey = await importJWK(JSON.parse(process.env.PARTNER_KEY), 'ES256')
const assertion = (sub, key = privateKey) =>
  new SignJWT().setProtectedHeader({ alg: 'ES256', kid: 'partner' }).setIssuer('https://partner.example').setSubject(sub)
    .setAudience(demo.issuer).setIssuedAt().setExpirationTime('1m').setJti(crypto.randomUUID()).sign(key)
const bearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const partner = await discovered(clients.partnered)
const good = await assertion('ada@partner')
for (const ask of [
  async (assertion) => client.genericGrantRequest(partner, bearer, { assertion, scope: 'lists:read', resource: demo.api }),
  async (assertion) => generic(clients.partnered, bearer, { assertion, scope: 'lists:read', resource: demo.api }),
]) {
  const given = await ask(await assertion('ada@partner'))
  assert.equal(decodeJwt(given.access_token).sub, ada.id)
  assert.equal(given.refresh_token, undefined)
  assert.equal(await reads(given.access_token), 200)
  const forged = await assertion('ada@partner', (await generateKeyPair('ES256')).privateKey)
  for (const bad of [forged, await assertion('eve@partner')]) await assert.rejects(ask(bad), { error: 'invalid_grant' })
}
await client.genericGrantRequest(partner, bearer, { assertion: good })
await assert.rejects(client.genericGrantRequest(partner, bearer, { assertion: good }), { error: 'invalid_grant' })
done('both: the word of a partner, by its key, once, for whom the operator knows')
goodbye()

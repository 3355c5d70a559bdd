// Clients with TLS certificates (RFC 8705), by both libraries. CERTIFICATES holds, for each name, a certificate and its key.
import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { decodeJwt } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import * as undici from 'undici'
import { demo, done, goodbye, open } from './talk.mjs'

const ada = demo.users.find((user) => user.role === 'admin')
const issuer = new URL(demo.issuer)
const folder = process.env.CERTIFICATES
const ca = readFileSync(`${folder}/ca.pem`)
const read = (name) => ({ cert: readFileSync(`${folder}/${name}/tls.crt`), key: readFileSync(`${folder}/${name}/tls.key`) })
// showing is fetch with a certificate in each handshake; with null it shows none.
function showing(pair) {
  const dispatcher = new undici.Agent({ connect: { ca, ...pair } })
  return (url, options) => undici.fetch(url, { ...options, dispatcher })
}
const x5t = ({ cert }) => createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')
const lists = new URL(`${process.env.MTLS_API}/v1/families/${demo.family_id}/lists`)
const [own, renewed, other] = [read('bank'), read('renewed'), read('other')]

const metadata = { use_mtls_endpoint_aliases: true }
const using = (pair) => ({ execute: [client.allowInsecureRequests], [client.customFetch]: showing(pair) })
const bank = await client.discovery(issuer, 'bank', metadata, client.TlsClientAuth(), using(own))
assert.equal(bank.serverMetadata().tls_client_certificate_bound_access_tokens, true)
const stranger = await client.discovery(issuer, 'bank', metadata, client.TlsClientAuth(), using(other))
const pkceCodeVerifier = client.randomPKCECodeVerifier()
const request = {
  redirect_uri: 'https://bank.example/callback', scope: 'openid email offline_access lists:read', resource: demo.api,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
}
await assert.rejects(client.buildAuthorizationUrlWithPAR(stranger, request), { status: 401 })
const back = await open(await client.buildAuthorizationUrlWithPAR(bank, request))
const tokens = await client.authorizationCodeGrant(bank, back, { pkceCodeVerifier })
assert.equal(tokens.claims().sub, ada.id)
assert.equal(decodeJwt(tokens.access_token).cnf['x5t#S256'], x5t(own))
done('openid-client, tls_client_auth: PAR and code; the token is bound to the certificate')

assert.equal((await client.fetchUserInfo(bank, tokens.access_token, ada.id)).email, ada.email)
assert.equal((await client.fetchProtectedResource(bank, tokens.access_token, lists, 'GET')).status, 200)
for (const pair of [other, null]) {
  const response = await showing(pair)(lists, { headers: { authorization: `Bearer ${tokens.access_token}` } })
  assert.equal(response.status, 401)
  assert.match(response.headers.get('www-authenticate'), /error="invalid_token"/)
}
assert.equal((await client.tokenIntrospection(bank, tokens.access_token)).cnf['x5t#S256'], x5t(own))
done('userinfo, the API and introspection, for the holder of the certificate alone')

const later = await client.discovery(issuer, 'bank', metadata, client.TlsClientAuth(), using(renewed))
const fresh = await client.refreshTokenGrant(later, tokens.refresh_token)
assert.equal(decodeJwt(fresh.access_token).cnf['x5t#S256'], x5t(renewed))
await assert.rejects(client.refreshTokenGrant(stranger, tokens.refresh_token), { status: 401 })
await client.tokenRevocation(later, fresh.refresh_token)
await assert.rejects(client.refreshTokenGrant(later, fresh.refresh_token), { error: 'invalid_grant' })
done('refresh with a renewed certificate, and revocation')

// Nobody vouches for these but the client itself, by what it registers.
const pair = read('alone')
const certificate = new X509Certificate(pair.cert)
const options = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: showing(pair) }
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options))
const made = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
  client_name: 'Alone', grant_types: ['client_credentials'], scope: 'family:read', token_endpoint_auth_method: 'self_signed_tls_client_auth',
  tls_client_certificate_bound_access_tokens: true,
  jwks: { keys: [{ ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] }] },
}, options))
const self = { client_id: made.client_id, use_mtls_endpoint_aliases: true }
async function credentials(options) {
  const response = await oauth.clientCredentialsGrantRequest(as, self, oauth.TlsClientAuth(), { resource: demo.api }, options)
  return oauth.processClientCredentialsResponse(as, self, response)
}
assert.equal(decodeJwt((await credentials(options)).access_token).cnf['x5t#S256'], x5t(pair))
await assert.rejects(credentials({ ...options, [oauth.customFetch]: showing(other) }), { status: 401 })
done('oauth4webapi, self_signed_tls_client_auth: client_credentials')
goodbye()

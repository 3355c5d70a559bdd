// The device grant by both libraries, with a person who opens the link that the device shows and allows it. The link is
// marked where the person is to deny it.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { demo, done, goodbye, open } from './talk.mjs'

const ada = demo.users.find((user) => user.role === 'admin')
const issuer = new URL(demo.issuer)
const plain = { execute: [client.allowInsecureRequests] } // http on loopback
const fridge = await client.dynamicClientRegistration(issuer, {
  client_name: 'Fridge', grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'], token_endpoint_auth_method: 'none',
  scope: 'openid offline_access lists:read',
}, client.None(), plain)
const asked = { scope: 'openid offline_access lists:read', resource: demo.api }

const shown = await client.initiateDeviceAuthorization(fridge, asked)
assert.equal(shown.verification_uri, `${demo.issuer}/device`)
assert.equal(new URL(shown.verification_uri_complete).searchParams.get('user_code'), shown.user_code)
const polled = client.pollDeviceAuthorizationGrant(fridge, shown) // waits an interval before it asks
await open(shown.verification_uri_complete)
const tokens = await polled
assert.equal(tokens.claims().sub, ada.id)
const lists = await client.fetchProtectedResource(fridge, tokens.access_token, new URL(`${demo.api}/v1/families/${demo.family_id}/lists`), 'GET')
assert.equal(lists.status, 200)
const fresh = await client.refreshTokenGrant(fridge, tokens.refresh_token)
assert.notEqual(fresh.refresh_token, tokens.refresh_token)
done('openid-client: shown, allowed, polled, refreshed')

const as = fridge.serverMetadata()
const self = { client_id: fridge.clientMetadata().client_id }
const options = { [oauth.allowInsecureRequests]: true }
const begin = async () =>
  oauth.processDeviceAuthorizationResponse(as, self, await oauth.deviceAuthorizationRequest(as, self, oauth.None(), asked, options))
const redeem = async ({ device_code }) =>
  oauth.processDeviceCodeResponse(as, self, await oauth.deviceCodeGrantRequest(as, self, oauth.None(), device_code, options))
const one = await begin()
await assert.rejects(redeem(one), { error: 'authorization_pending' })
await assert.rejects(redeem(one), { error: 'slow_down' })
const two = await begin()
await open(two.verification_uri_complete)
assert.equal(oauth.getValidatedIdTokenClaims(await redeem(two)).sub, ada.id)
await assert.rejects(redeem(two), { error: 'invalid_grant' })
const three = await begin()
await open(`${three.verification_uri_complete}#deny`)
await assert.rejects(redeem(three), { error: 'access_denied' })
done('oauth4webapi: pending, too soon, allowed, spent, denied')
goodbye()

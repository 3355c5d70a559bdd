// Two tokens of a person's app for the API to accept: one plain, one bound to a key with a proof that goes with it.
import * as client from 'openid-client'
import { demo, open } from './talk.mjs'
export { done, goodbye, open } from './talk.mjs'

const { spa } = demo.clients
const phone = await client.discovery(new URL(demo.issuer), spa.client_id, {}, client.None(), { execute: [client.allowInsecureRequests] })

async function signIn(options) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const back = await open(client.buildAuthorizationUrl(phone, {
    redirect_uri: spa.redirect_uris[0], scope: 'openid lists:read', resource: demo.api,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  }))
  return client.authorizationCodeGrant(phone, back, { pkceCodeVerifier }, undefined, options)
}

// What fetchProtectedResource would have sent.
async function proven() {
  const DPoP = client.getDPoPHandle(phone, await client.randomDPoPKeyPair())
  const { access_token } = await signIn({ DPoP })
  const url = `${demo.api}/v1/stock`
  let sent
  phone[client.customFetch] = async (_, { headers }) => {
    sent = new Headers(headers)
    return new Response()
  }
  await client.fetchProtectedResource(phone, access_token, new URL(url), 'GET', undefined, undefined, { DPoP })
  phone[client.customFetch] = undefined
  return { url, authorization: sent.get('authorization'), dpop: sent.get('dpop') }
}

const tokens = await signIn()
export const settings = {
  issuer: demo.issuer, audience: demo.api, token: tokens.access_token, bound: await proven(),
  client_id: process.env.RS_ID, client_secret: process.env.RS_SECRET,
  signOut: () => client.tokenRevocation(phone, tokens.refresh_token),
}

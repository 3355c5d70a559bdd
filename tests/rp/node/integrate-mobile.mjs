import { demo } from './talk.mjs'
export { done, goodbye, open } from './talk.mjs'

export const settings = {
  issuer: demo.issuer, api: demo.api, family: demo.family_id,
  client_id: demo.clients.spa.client_id, redirect_uri: demo.clients.spa.redirect_uris[0].replace('127.0.0.1', '127.0.0.1:49152'),
}

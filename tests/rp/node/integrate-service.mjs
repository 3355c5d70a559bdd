import { demo } from './talk.mjs'
export { done, goodbye, open } from './talk.mjs'

export const settings = { issuer: demo.issuer, api: demo.api, family: demo.family_id, api_key: demo.api_key, machine: demo.clients.machine, fapi: demo.clients.fapi }

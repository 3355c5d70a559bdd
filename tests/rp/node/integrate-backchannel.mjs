import { createServer } from 'node:http'
import { once } from 'node:events'
import { demo, please } from './talk.mjs'
export { done, goodbye, open } from './talk.mjs'

const server = createServer().listen(0, '127.0.0.1')
server.unref()
await once(server, 'listening')

async function register(metadata) {
  const answer = await fetch(`${demo.issuer}/connect/register`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ grant_types: ['urn:openid:params:grant-type:ciba'], ...metadata }),
  })
  if (answer.status !== 201) throw new Error(await answer.text())
  return answer.json()
}

export const settings = {
  issuer: demo.issuer, api: demo.api, family: demo.family_id, email: demo.users.find((user) => user.role === 'admin').email, server, say: () => please('answer'),
  phone: await register({ client_name: 'Pantry Phone Line', scope: 'openid lists:read', backchannel_token_delivery_mode: 'poll' }),
  till: await register({
    client_name: 'Pantry Till', scope: 'openid', backchannel_token_delivery_mode: 'ping',
    backchannel_client_notification_endpoint: `http://127.0.0.1:${server.address().port}/ciba`,
  }),
}

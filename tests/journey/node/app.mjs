// An app at an address of its own that people sign in to with Larder: a public client, with PKCE.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { demo } from './talk.mjs'

const unguessable = () => randomBytes(32).toString('base64url')

export class App {
  static async open(name, metadata = {}) {
    const app = new App()
    const server = createServer(async (request, response) => {
      if (request.method === 'POST') app.posted = new URLSearchParams(Buffer.concat(await request.toArray()).toString())
      response.setHeader('content-type', 'text/html; charset=utf-8').end(
        `<!doctype html><html lang="en"><title>${name}</title><main><h1>Back at ${name}</h1><p>${new URL(request.url, app.at).searchParams.get('error') ?? 'Welcome'}</p></main>`)
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    server.unref()
    app.at = `http://127.0.0.1:${server.address().port}/callback`
    const registered = await fetch(`${demo.issuer}/connect/register`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({
        client_name: name, redirect_uris: [app.at], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], ...metadata,
      }),
    })
    assert.equal(registered.status, 201, await registered.clone().text())
    app.client_id = (await registered.json()).client_id
    return app
  }

  // asks returns where the app sends the person.
  asks(scope, more = {}) {
    this.verifier = unguessable()
    this.state = unguessable()
    this.posted = undefined
    return `/authorize?${new URLSearchParams({
      client_id: this.client_id, redirect_uri: this.at, response_type: 'code', scope, resource: demo.api, state: this.state,
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'), code_challenge_method: 'S256', ...more,
    })}`
  }

  // receives reads what the visitor was sent back with.
  receives(visitor) {
    const back = new URL(visitor.tab.url())
    assert.equal(back.origin + back.pathname, this.at)
    const answer = this.posted ?? back.searchParams
    assert.equal(answer.get('state'), this.state)
    assert.equal(answer.get('iss'), demo.issuer)
    return Object.fromEntries(answer)
  }

  async redeems(visitor) {
    const answer = await this.token({ grant_type: 'authorization_code', code: this.receives(visitor).code, redirect_uri: this.at, code_verifier: this.verifier })
    assert.equal(answer.status, 200, await answer.clone().text())
    Object.assign(this, await answer.json())
    return this
  }

  token(form) {
    return fetch(`${demo.issuer}/token`, { method: 'POST', body: new URLSearchParams({ client_id: this.client_id, ...form }) })
  }

  // calls the API with the access token.
  calls(method, path, body, headers = {}) {
    return fetch(demo.api + path, {
      method, headers: { authorization: `Bearer ${this.access_token}`, 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body),
    })
  }
}

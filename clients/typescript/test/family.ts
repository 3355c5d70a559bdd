// A client's day against real services. It reads {"api","token","family_id"} from stdin, says {"done": …} after each step,
// and ends with 0 when everything was right.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { larder, must, ProblemError, type FeedEvent, type Schemas } from '../src/index.js'

const given = JSON.parse(readFileSync(0, 'utf8')) as { api: string; token: string; family_id: string }
const done = (what: string) => console.log(JSON.stringify({ done: what }))

// Every third answer is lost on its way, by the network or by a proxy, and the first token is no good.
let sent = 0
const keys = new Set<string>()
let tokens = 0
const { api, feed, sync, pages } = larder({
  baseUrl: given.api,
  token: (refused) => (tokens++ === 0 && !refused ? 'no.such.token' : given.token),
  fetch: async (request) => {
    const response = await fetch(request)
    const key = request.headers.get('Idempotency-Key')
    if (key) keys.add(key)
    if (++sent % 3 === 0 && !request.url.endsWith('/feed')) {
      await response.body?.cancel()
      if (sent % 2) throw new TypeError('the answer was lost')
      return new Response(null, { status: 502 })
    }
    return response
  },
})
const family = { family_id: given.family_id }

const stop = new AbortController()
const heard: FeedEvent[] = []
let ready = () => {}
const connected = new Promise<void>((resolve) => (ready = resolve))
const following = (async () => {
  for await (const event of feed(given.family_id, { signal: stop.signal })) {
    heard.push(event)
    ready()
    if (event.event === 'change' && event.change.event === 'list.deleted') return
  }
})()
await connected
done('the feed is ready')

const list = must(await api.POST('/v1/families/{family_id}/lists', { params: { path: family }, body: { name: 'From TypeScript' } }))
const path = { ...family, list_id: list.id }
const texts = ['2 l milk', 'bread', '6 eggs']
for (const text of texts) {
  must(await api.POST('/v1/families/{family_id}/lists/{list_id}/items', { params: { path }, body: { text } }))
}
const names: string[] = []
const first = must(await api.GET('/v1/families/{family_id}/lists/{list_id}/items', { params: { path, query: { limit: 2 } } }))
for await (const page of pages(first)) names.push(...page.items.map((item) => item.name))
assert.deepEqual(names, ['milk', 'bread', 'eggs'], 'answers were lost, and nothing was added twice')
assert.equal(keys.size, 4)
done('written once each, read by pages')

let cursor: string | undefined
for await (const answer of sync(given.family_id, cursor)) cursor = answer.cursor
const milk = first.items[0]
assert.ok(milk)
const operations: Schemas['Operation'][] = Array.from({ length: 101 }, (_, i) => ({
  operation_id: crypto.randomUUID(), op: i % 2 ? 'item.uncheck' : 'item.check', list_id: list.id, item_id: milk.id,
}))
const results: string[] = []
for await (const answer of sync(given.family_id, cursor, operations)) {
  results.push(...answer.results.map((result) => result.status))
  cursor = answer.cursor
}
assert.equal(results.length, 101)
assert.ok(results.every((status) => status === 'applied' || status === 'merged'), results.join())
done('synchronised')

await assert.rejects(
  async () => must(await api.DELETE('/v1/families/{family_id}/lists/{list_id}', { params: { path, header: { 'If-Match': '"999"' } } })),
  (err) => err instanceof ProblemError && err.status === 412 && err.problem?.title === 'Precondition Failed',
)
const now = await api.GET('/v1/families/{family_id}/lists/{list_id}', { params: { path } })
const etag = now.response.headers.get('ETag')
assert.ok(etag)
must(await api.DELETE('/v1/families/{family_id}/lists/{list_id}', { params: { path, header: { 'If-Match': etag } } }))
  ?? done('deleted what was seen')
await following
assert.ok(heard.some((event) => event.event === 'change' && event.change.event === 'item.checked'))
stop.abort()
done('the feed told of it')

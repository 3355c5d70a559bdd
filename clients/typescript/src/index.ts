import createClient, { type Client } from 'openapi-fetch'
import { follow, type FeedEvent } from './feed.js'
import { must } from './problem.js'
import type { components, paths } from './schema.js'
import { transport, type Options } from './transport.js'

export { ProblemError, must, type Problem } from './problem.js'
export type { Change, FeedEvent } from './feed.js'
export type { Options, TokenProvider } from './transport.js'
export type { paths } from './schema.js'

/** The shapes of the document: `Schemas['Item']`. */
export type Schemas = components['schemas']

export interface Larder {
  /** Every operation of the document, typed: `api.GET('/v1/families')`. */
  api: Client<paths>
  /** What happens in a family, as it happens. */
  feed(familyId: string, options?: { lastEventId?: string; signal?: AbortSignal }): AsyncGenerator<FeedEvent, void, undefined>
  /**
   * Hands in operations made offline and yields the answers until nothing more is to come: results in the order of the
   * operations, and what others changed after the cursor. Keep the cursor of each answer. `reset` means that the lists
   * have to be read afresh.
   */
  sync(familyId: string, cursor: string | undefined, operations?: Schemas['Operation'][]): AsyncGenerator<Schemas['SyncAnswer'], void, undefined>
  /** The pages of a collection, from the first answer on. */
  pages<T extends { next?: string }>(first: T): AsyncGenerator<T, void, undefined>
}

const operationsAtOnce = 100

/** Makes a client of the grocery API. */
export function larder(options: Options): Larder {
  const baseUrl = options.baseUrl.replace(/\/+$/, '')
  const send = transport(options)
  const api = createClient<paths>({ baseUrl, fetch: send })
  return {
    api,
    feed: (familyId, { lastEventId, signal } = {}) =>
      follow(send, `${baseUrl}/v1/families/${encodeURIComponent(familyId)}/feed`, lastEventId, signal),
    async *sync(familyId, cursor, operations = []) {
      for (let from = 0, more = true; more || from < operations.length; from += operationsAtOnce) {
        const body: Schemas['SyncRequest'] = { operations: operations.slice(from, from + operationsAtOnce) }
        if (cursor !== undefined) body.cursor = cursor
        const answer = must(await api.POST('/v1/families/{family_id}/sync', { params: { path: { family_id: familyId } }, body }))
        ;({ cursor, more } = answer)
        yield answer
      }
    },
    async *pages<T extends { next?: string }>(first: T) {
      for (let page = first; ; ) {
        yield page
        if (!page.next) return
        const response = await send(new Request(baseUrl + page.next))
        page = must({ response, ...(response.ok ? { data: (await response.json()) as T } : { error: await response.json() }) })
      }
    },
  }
}

import { ProblemError } from './problem.js'
import type { components } from './schema.js'
import { backoff, sleep } from './transport.js'

export type Change = components['schemas']['FeedChange']

/** What the feed tells. `id` is where to go on, and a cursor for sync. */
export type FeedEvent =
  | { event: 'ready' | 'reset'; id: string }
  | { event: 'change'; id: string; change: Change }

/** Ends after which nothing is to be had by connecting again. */
const final = new Set(['removed', 'refused', 'revoked'])

/**
 * Follows the feed of a family for good: over broken connections, drained servers and expired tokens, from where it was.
 * It ends when the signal is aborted, and throws a ProblemError once the caller may follow it no more.
 */
export async function* follow(
  send: (request: Request) => Promise<Response>, url: string, lastEventId: string | undefined, signal: AbortSignal | undefined,
): AsyncGenerator<FeedEvent, void, undefined> {
  let last = lastEventId
  for (let failures = 0; !signal?.aborted; failures++) {
    try {
      const headers = new Headers({ Accept: 'text/event-stream' })
      if (last !== undefined) headers.set('Last-Event-ID', last)
      const response = await send(new Request(url, { headers, ...(signal ? { signal } : {}) }))
      if (!response.ok || !response.body) throw await ProblemError.from(response)
      for await (const message of messages(response.body)) {
        if (message.id !== undefined) last = message.id
        if (message.event === 'end') {
          if (final.has(message.data)) throw new ProblemError(response, { type: 'about:blank', title: 'The feed has ended', status: 403, code: message.data })
          break
        }
        failures = 0
        const id = last ?? ''
        if (message.event === 'change') yield { event: 'change', id, change: JSON.parse(message.data) as Change }
        else if (message.event === 'ready' || message.event === 'reset') yield { event: message.event, id }
      }
    } catch (err) {
      if (signal?.aborted) return
      if (err instanceof ProblemError && err.status !== 429 && err.status < 500) throw err
    }
    try {
      await sleep(backoff(failures), signal)
    } catch {
      return
    }
  }
}

interface Message {
  event: string
  data: string
  id?: string
}

/** Reads server-sent events (WHATWG HTML §9.2.6) from a body. */
async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<Message, void, undefined> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let rest = ''
  let message: Message = { event: 'message', data: '' }
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const lines = (rest + value).split(/\r\n|\n|\r/)
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === '') {
          if (message.data !== '') yield { ...message, data: message.data.slice(0, -1) }
          message = { event: 'message', data: '' }
          continue
        }
        const colon = line.indexOf(':')
        const field = colon < 0 ? line : line.slice(0, colon)
        const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
        if (field === 'event') message.event = text
        else if (field === 'data') message.data += text + '\n'
        else if (field === 'id') message.id = text
      }
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** Where access tokens come from. `refused` is one that the API did not take, so that a cache can forget it. */
export type TokenProvider = (refused?: string) => string | Promise<string>

export interface Options {
  /** Origin of the API, without a path. */
  baseUrl: string
  token: TokenProvider
  /** How often a request is sent again; 3 if absent. */
  retries?: number
  /** The longest that Retry-After is waited for, in milliseconds; 30 seconds if absent. */
  maxWait?: number
  fetch?: (request: Request) => Promise<Response>
}

const again = new Set([429, 502, 503, 504])

/**
 * A fetch that carries a token and sends a request again when that is safe: every POST and PATCH gets an Idempotency-Key,
 * one for all its attempts, so it is carried out once however often it arrives. Operations of /sync have ids of their own.
 */
export function transport(options: Options): (request: Request) => Promise<Response> {
  const send = options.fetch ?? ((request) => fetch(request))
  const retries = options.retries ?? 3
  const maxWait = options.maxWait ?? 30_000
  return async (original) => {
    const keyed = original.method === 'POST' || original.method === 'PATCH'
    const key = original.headers.get('Idempotency-Key') ?? (keyed && !original.url.endsWith('/sync') ? crypto.randomUUID() : undefined)
    let refused: string | undefined
    let lost = false // an attempt may have been carried out
    for (let attempt = 0; ; attempt++) {
      const token = await options.token(refused)
      const request = original.clone()
      request.headers.set('Authorization', `Bearer ${token}`)
      if (key) request.headers.set('Idempotency-Key', key)
      let pause: number
      try {
        const response = await send(request)
        if (response.status === 401 && refused === undefined && /error="invalid_token"/.test(response.headers.get('WWW-Authenticate') ?? '')) {
          refused = token
          await response.body?.cancel()
          continue
        }
        if (lost && original.method === 'DELETE' && response.status === 404) return new Response(null, { status: 204 })
        lost ||= response.status >= 502
        pause = waitFor(response, attempt)
        if (!again.has(response.status) || attempt >= retries || pause > maxWait) return response
        await response.body?.cancel()
      } catch (err) {
        lost = true
        if (original.signal.aborted || attempt >= retries) throw err
        pause = backoff(attempt)
      }
      await sleep(pause, original.signal)
    }
  }
}

function waitFor(response: Response, attempt: number): number {
  const seconds = Number(response.headers.get('Retry-After') ?? NaN)
  return Number.isFinite(seconds) ? seconds * 1000 : backoff(attempt)
}

/** Half a second, doubled each time up to 16 s; half of it by chance, so that clients do not come back together. */
export function backoff(attempt: number): number {
  return 500 * 2 ** Math.min(attempt, 5) * (0.5 + Math.random() / 2)
}

export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    signal?.addEventListener('abort', stop, { once: true })
  })
}

// The tokens of everybody who is signed in, by sid: the one name of a browser session that the ID token and the logout
// token share. This store is the memory of one process. For several replicas put Redis behind the same five functions;
// `replace` then is a compare-and-set (WATCH, or a script).
import 'server-only'

export type Held = {
  sub: string
  idToken: string
  accessToken: string
  refreshToken: string
  /** Milliseconds since 1970. */
  expiresAt: number
}

const LONGEST = 30 * 24 * 3600 * 1000 // as long as the cookie of Auth.js
const MOST = 10_000

type Entry = Held & { until: number }

// Next.js loads this file more than once: for pages, for routes, and again after each edit. There is one Map for all.
const shared = globalThis as { larderSessions?: Map<string, Entry> }
const entries = (shared.larderSessions ??= new Map<string, Entry>())

export const sessions = {
  async open(sid: string, held: Held) {
    entries.delete(sid) // so that the newest come last
    entries.set(sid, { ...held, until: Date.now() + LONGEST })
    for (const [oldest, entry] of entries) {
      if (entry.until > Date.now() && entries.size <= MOST) break
      entries.delete(oldest)
    }
  },

  async get(sid: string): Promise<Held | undefined> {
    return entries.get(sid)
  },

  /** Puts fresh tokens in the place of those that `refreshToken` came with, unless somebody else has done so already. */
  async replace(sid: string, refreshToken: string, fresh: Partial<Held>) {
    const entry = entries.get(sid)
    if (entry?.refreshToken === refreshToken) Object.assign(entry, fresh)
  },

  async end(sid: string) {
    entries.delete(sid)
  },

  async endAllOf(sub: string) {
    for (const [sid, entry] of entries) if (entry.sub === sub) entries.delete(sid)
  },
}

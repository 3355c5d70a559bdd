import type { components } from './schema.js'

export type Problem = components['schemas']['Problem']

/** An answer that is not 2xx (RFC 9457). `code` is the stable word to decide by; the message is for people. */
export class ProblemError extends Error {
  readonly status: number
  readonly code: string | undefined
  readonly problem: Problem | undefined
  readonly response: Response

  constructor(response: Response, problem: Problem | undefined) {
    super(problem?.detail ?? problem?.title ?? `HTTP ${response.status}`)
    this.name = 'ProblemError'
    this.status = response.status
    this.code = problem?.code
    this.problem = problem
    this.response = response
  }

  /** Reads the problem out of an answer that nobody has read yet. */
  static async from(response: Response): Promise<ProblemError> {
    const json = response.headers.get('content-type')?.startsWith('application/problem+json')
    return new ProblemError(response, json ? ((await response.json()) as Problem) : undefined)
  }
}

/** Returns the data of an answer of the typed client, or throws its problem. */
export function must<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.response.ok) return answer.data as T
  throw new ProblemError(answer.response, answer.error as Problem | undefined)
}

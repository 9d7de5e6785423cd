// httpEffect: a tool's run as a request and a reading of the answer; statuses become outcomes in one table.
import { pending, refused } from './outcomes.ts';
import type { ToolContext } from './tool-context.ts';

export interface HttpRequest {
  readonly url: string;
  /** @default 'POST' */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface HttpEffectOptions<Input, Output> {
  /** The request; an `Idempotency-Key` is added when it sets none. */
  readonly request: (input: Input, ctx: ToolContext) => HttpRequest;
  /** Reads a 2xx answer. */
  readonly response: (body: unknown, input: Input) => Output;
  /** Reads a 202 as "accepted, not done yet": returns the receiver's reference, or null. Absent: a 202 is done. */
  readonly accepted?: (body: unknown, input: Input) => string | null;
  /** Statuses that the receiver documents as "not executed". @default [400, 401, 402, 403, 404, 405, 410, 415] */
  readonly refusals?: readonly number[];
}

const REFUSALS = [400, 401, 402, 403, 404, 405, 410, 415];

/** An answer that proves neither that the effect happened nor that it did not. */
export class AmbiguousAnswer extends Error {
  readonly status: number;
  /** Asking again cannot help: the receiver knows the key with another body (422). */
  readonly needsHuman: boolean;
  constructor(status: number, body: string) {
    super(`HTTP ${status} leaves the outcome open: ${body.slice(0, 200)}`);
    this.name = 'AmbiguousAnswer';
    this.status = status;
    this.needsHuman = status === 422;
  }
}

/** A `run` that sends one request. 2xx: applied; a documented refusal: refused; all else is ambiguous. */
export function httpEffect<Input, Output>(
  options: HttpEffectOptions<Input, Output>,
): (input: Input, ctx: ToolContext) => Promise<Output> {
  const refusals = new Set(options.refusals ?? REFUSALS);
  return async (input, ctx) => {
    const { url, method = 'POST', headers = {}, body } = options.request(input, ctx);
    const answer = await ctx.fetch(url, {
      method,
      headers: {
        'content-type': 'application/json',
        'idempotency-key': ctx.idempotencyKey,
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: ctx.signal,
    });
    const text = await answer.text();
    if (answer.status === 202 && options.accepted) {
      throw pending(options.accepted(text === '' ? null : JSON.parse(text), input));
    }
    if (answer.ok) return readApplied(options, text, input);
    if (refusals.has(answer.status)) throw toRefusal(answer.status, text);
    throw new AmbiguousAnswer(answer.status, text);
  };
}

/** The receiver's own code where it sends one (`{ code }` or `{ error: { code } }`), else the status. */
function toRefusal(status: number, text: string): Error {
  try {
    const body = JSON.parse(text) as { error?: unknown } | null;
    const { code, message } = (body?.error ?? body ?? {}) as { code?: unknown; message?: unknown };
    if (typeof code === 'string') {
      return refused(code, typeof message === 'string' ? message : code);
    }
  } catch {
    // Not JSON: the status says enough.
  }
  return refused(`http_${status}`, text.slice(0, 200) || `HTTP ${status}`);
}

/** A 2xx is applied. A body that `response` cannot read is the output as it is: the tool's schema says what is wrong. */
function readApplied<Input, Output>(
  { response }: HttpEffectOptions<Input, Output>,
  text: string,
  input: Input,
): Output {
  const body: unknown = text === '' ? null : JSON.parse(text);
  try {
    return response(body, input);
  } catch {
    return body as Output;
  }
}

// httpEffect: a tool's run as a request and a reading of the answer; statuses become outcomes in one table.
import { parseExactJson } from '../rules/large-numbers.ts';
import { pending, refused } from './outcomes.ts';
import type { ToolContext } from './tool-context.ts';

export interface HttpRequest {
  readonly url: string;
  /** @default 'POST' */
  readonly method?: string;
  /** In place of the defaults of the same name, in whatever case; an empty value leaves the header away. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface HttpEffectOptions<Input, Output> {
  /** The request; `ctx.idempotencyKey` is its `Idempotency-Key`. Another one is refused before it is sent. */
  readonly request: (input: Input, ctx: ToolContext) => HttpRequest;
  /**
   * Reads a 2xx answer. Integers beyond 2^53 are strings with all their digits. What it throws makes the output invalid,
   * never the outcome unknown: `pawl why` shows both.
   */
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

/** `response` could not read a 2xx answer: the effect is applied, with this body as its output. */
export class UnreadAnswer extends Error {
  /** Holds across duplicate installs, where `instanceof` does not. */
  readonly isPawlUnread = true;
  readonly body: unknown;
  constructor(body: unknown, cause: unknown) {
    super('the answer could not be read', { cause });
    this.name = 'UnreadAnswer';
    this.body = body;
  }
}

/** A `run` that sends one request. 2xx: applied; a documented refusal: refused; all else is ambiguous. */
export function httpEffect<Input, Output>(
  options: HttpEffectOptions<Input, Output>,
): (input: Input, ctx: ToolContext) => Promise<Output> {
  const refusals = new Set(options.refusals ?? REFUSALS);
  return async (input, ctx) => {
    const { url, method = 'POST', headers = {}, body } = options.request(input, ctx);
    const defaults = {
      'content-type': 'application/json',
      'idempotency-key': ctx.idempotencyKey,
    };
    const answer = await ctx.fetch(url, {
      method,
      headers: replaceHeaders(defaults, headers),
      body: body === undefined ? null : JSON.stringify(body),
      signal: ctx.signal,
    });
    if (answer.status === 202 && options.accepted) {
      throw pending(await readReference(options.accepted, answer, input));
    }
    if (answer.ok) return readApplied(options, answer, input);
    if (refusals.has(answer.status)) throw toRefusal(answer.status, await textOf(answer));
    throw new AmbiguousAnswer(answer.status, await answer.text());
  };
}

/** Names have no case: the later value replaces the earlier one, and fetch would join them. */
function replaceHeaders(
  ...given: readonly Readonly<Record<string, string>>[]
): Record<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of given.flatMap((each) => Object.entries(each))) {
    headers.set(name.toLowerCase(), value);
  }
  return Object.fromEntries([...headers].filter(([, value]) => value !== ''));
}

/** What was accepted stays accepted when the tool cannot find its name in the answer. */
async function readReference<Input>(
  accepted: (body: unknown, input: Input) => string | null,
  answer: Response,
  input: Input,
): Promise<string | null> {
  const text = await answer.text();
  try {
    return accepted(text === '' ? null : parseExactJson(text), input);
  } catch {
    return null;
  }
}

/** A refusal is one by its status, however long its body is; a body that breaks off rejects. */
async function textOf(answer: Response): Promise<string> {
  try {
    return await answer.text();
  } catch (error) {
    if (error instanceof Error && error.name === 'AnswerTooLarge') return '';
    throw error;
  }
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

/** A 2xx is applied; one that is no JSON may come from a proxy, and proves nothing. */
async function readApplied<Input, Output>(
  { response }: HttpEffectOptions<Input, Output>,
  answer: Response,
  input: Input,
): Promise<Output> {
  const text = await answer.text();
  const body = readBody(answer.status, text);
  try {
    // Awaited here: one that is async throws here, too.
    return await response(body, input);
  } catch (error) {
    throw new UnreadAnswer(body, error);
  }
}

function readBody(status: number, text: string): unknown {
  if (text.trim() === '') return null;
  try {
    return parseExactJson(text);
  } catch {
    throw new AmbiguousAnswer(status, text);
  }
}

// A receiver's answer as tools get it: its bytes are bounded, and its JSON isn't rounded.
import { Response as UndiciResponse } from 'undici';
import { parseExactJson } from '../../domain/rules/large-numbers.ts';

/** The answer has more bytes, on the wire or decoded, than the tool takes. */
export class AnswerTooLarge extends Error {
  readonly code = 'PAWL_ANSWER_TOO_LARGE';
  constructor(bytesMax: number) {
    super(`the answer is larger than ${bytesMax} bytes (maxAnswerBytes of the tool)`);
    this.name = 'AnswerTooLarge';
  }
}

/** What arrived of an answer. */
export interface Arrived {
  readonly status: number;
  /** `cut`: the connection or the time ended first; `too-large`: we stopped reading. */
  readonly body: 'whole' | 'cut' | 'too-large';
  /** Of a whole body. */
  readonly bytes: Buffer;
}

/** The same answer; reading past so many decoded bytes rejects with `AnswerTooLarge` and ends the connection. */
export function boundAnswer(response: Response, bytesMax: number): Response {
  const reader = response.body?.getReader();
  if (!reader) return toAnswer(response, null);
  let count = 0;
  const bounded = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read().catch((error: unknown) => {
          // On the wire it is ended by fetch's own error.
          throw isTooLarge(error) ? new AnswerTooLarge(bytesMax) : error;
        });
        if (done) return controller.close();
        count += value.byteLength;
        if (count <= bytesMax) return controller.enqueue(value);
        const error = new AnswerTooLarge(bytesMax);
        reader.cancel(error).catch(() => undefined);
        throw error;
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return toAnswer(response, bounded);
}

/** Reads the body to its end and gives the answer with that body; a body that fails while read fails again. */
export async function readWhole(
  response: Response,
): Promise<{ readonly arrived: Arrived; readonly answer: Response }> {
  const { status } = response;
  try {
    const bytes = Buffer.from(await response.arrayBuffer());
    const answer = toAnswer(response, bytes);
    return { arrived: { status, body: 'whole', bytes }, answer };
  } catch (error) {
    const body = isTooLarge(error) ? 'too-large' : 'cut';
    const failing = new ReadableStream({ start: (controller) => controller.error(error) });
    return { arrived: { status, body, bytes: Buffer.of() }, answer: toAnswer(response, failing) };
  }
}

/** An `AnswerTooLarge`, itself or as the cause of what fetch threw. */
function isTooLarge(error: unknown): boolean {
  let cause = error;
  for (let depth = 0; depth < 8 && typeof cause === 'object' && cause !== null; depth += 1) {
    const { code, cause: next } = cause as { code?: unknown; cause?: unknown };
    if (code === 'PAWL_ANSWER_TOO_LARGE') return true;
    cause = next;
  }
  return false;
}

const WITHOUT_BODY = new Set([101, 103, 204, 205, 304]);

/** Whatever a receiver says: a status or a reason that a `Response` can't be made with is carried past its constructor. */
function toAnswer(from: Response, body: ReadableStream | Buffer | null): Response {
  const { status, ok, statusText, url, redirected, type } = from;
  const isUsual = status >= 200 && status <= 599;
  const answer = new UndiciResponse((WITHOUT_BODY.has(status) ? null : body) as never, {
    status: isUsual ? status : 200,
    headers: [...from.headers],
  }) as unknown as Response;
  const same = Object.entries({ status, ok, statusText, url, redirected, type });
  for (const [name, value] of same) Object.defineProperty(answer, name, { value });
  const json = async (): Promise<unknown> => parseExactJson(await answer.text());
  return Object.defineProperty(answer, 'json', { value: json });
}

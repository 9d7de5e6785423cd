// One streamed call through an official SDK: reads every chunk, watches for abort and cut, reports facts.
import type { ModelAnswer, Usage } from '../../domain/rules/transcript.ts';
import { messageOfThrown } from '../../domain/rules/thrown.ts';
import type { ModelCallContext, ProviderAccount } from './model-provider.ts';
import { ModelCallError } from './model-provider.ts';
import { isUnreadable } from './readable-events.ts';
import { AnswerFormatError, toModelCallError, type SdkErrorClasses } from './sdk-errors.ts';

/** What an answer is put together with. Nothing but `finish` throws, and it only for an answer that is not whole. */
export interface AnswerAssembly {
  /** Whether the provider's mark for the end of an answer has arrived. */
  readonly isWhole: boolean;
  /** What was reported until now. */
  readonly usage: Usage;
  add(event: unknown): void;
  /** Something is wrong with the answer: it is not one to act on. */
  note(problem: string): void;
  /** Throws an `AnswerCutError` when the stream ended too early. */
  finish(requestId: string | undefined): ModelAnswer;
}

export interface OpenStream<Event> {
  readonly data: AsyncIterable<Event>;
  readonly response: Response;
  readonly request_id: string | null | undefined;
}

export interface StreamedCall<Event> {
  readonly provider: string;
  readonly account: ProviderAccount;
  readonly errors: SdkErrorClasses;
  readonly context: ModelCallContext;
  readonly answer: AnswerAssembly;
  /** Sends the one request. */
  open(): Promise<OpenStream<Event>>;
}

/** Sends the request and reads the whole answer; every failure of the call is a `ModelCallError`. */
export async function readStreamedCall<Event>(call: StreamedCall<Event>): Promise<ModelAnswer> {
  const { provider, account, errors } = call;
  try {
    return await read(call);
  } catch (error) {
    if (error instanceof ModelCallError) throw error;
    const { usage } = call.answer;
    const context = { provider, apiKey: account.apiKey, errors, usage, nowMs: Date.now() };
    throw toModelCallError(error, context);
  }
}

async function read<Event>({
  provider,
  context,
  answer,
  open,
}: StreamedCall<Event>): Promise<ModelAnswer> {
  const { data, response, request_id } = await open();
  const format = response.headers.get('content-type') ?? '';
  if (!format.includes('text/event-stream')) {
    await response.body?.cancel().catch(() => undefined);
    throw new AnswerFormatError(`the answer is ${format || 'untyped'}, not text/event-stream`);
  }
  try {
    for await (const event of data) {
      context.onChunk();
      add(answer, event);
    }
  } catch (error) {
    // A whole answer is paid for: what breaks after its end takes nothing from it.
    if (!answer.isWhole) throw error;
  }
  // Both SDKs end an aborted stream without an error.
  if (context.signal.aborted && !answer.isWhole) {
    const { usage } = answer;
    throw new ModelCallError({ kind: 'aborted', provider, message: 'the call was aborted' }, usage);
  }
  return answer.finish(request_id ?? undefined);
}

function add(answer: AnswerAssembly, event: unknown): void {
  try {
    if (isUnreadable(event)) answer.note('an event of the answer is not JSON');
    else answer.add(event);
  } catch (error) {
    answer.note(`an event of the answer has an unknown shape: ${messageOfThrown(error)}`);
  }
}

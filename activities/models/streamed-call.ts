// One streamed call through an official SDK: reads every chunk, watches for abort and cut, reports facts.
import type { ModelAnswer } from '../../domain/rules/transcript.ts';
import type { ModelCallContext, ProviderAccount } from './model-provider.ts';
import { ModelCallError } from './model-provider.ts';
import { AnswerFormatError, toModelCallError, type SdkErrorClasses } from './sdk-errors.ts';

/** What an answer is put together with. */
export interface AnswerAssembly<Event> {
  add(event: Event): void;
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
  readonly answer: AnswerAssembly<Event>;
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
    throw toModelCallError(error, { provider, apiKey: account.apiKey, errors, nowMs: Date.now() });
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
  for await (const event of data) {
    context.onChunk();
    add(answer, event);
  }
  // Both SDKs end an aborted stream without an error.
  if (context.signal.aborted) {
    throw new ModelCallError({ kind: 'aborted', provider, message: 'the call was aborted' });
  }
  return answer.finish(request_id ?? undefined);
}

function add<Event>(answer: AnswerAssembly<Event>, event: Event): void {
  try {
    answer.add(event);
  } catch (error) {
    throw new AnswerFormatError(`an event has an unknown shape: ${String(error)}`);
  }
}

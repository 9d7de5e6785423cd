// Puts the chunks of OpenAI's stream together. Takes any chunk: what can't be read becomes a problem, never an error.
import type { ModelAnswer, StopReason, Usage } from '../../domain/rules/transcript.ts';
import { OpenAiCalls } from './openai-calls.ts';
import { type Reported, toCallPart, toName, toObject, toTokens } from './reported.ts';
import { AnswerCutError } from './sdk-errors.ts';
import { judgeStop } from './stop-reason.ts';
import type { AnswerAssembly } from './streamed-call.ts';
import { toWireText } from './wire-values.ts';

export class OpenAiAnswer implements AnswerAssembly {
  readonly #calls = new OpenAiCalls();
  readonly #problems: string[] = [];
  #text = '';
  #refusal = '';
  #servedModel = '';
  #finishReason: unknown = null;
  readonly #tokens = { input: 0, output: 0, cached: 0 };

  /** The usage comes after this; without it the answer is whole all the same. */
  get isWhole(): boolean {
    return this.#finishReason !== null;
  }

  /** Unreported counts are 0. */
  get usage(): Usage {
    const { input, output, cached } = this.#tokens;
    const cachedInputTokens = Math.min(input, cached);
    return { inputTokens: input, outputTokens: output, cachedInputTokens };
  }

  note(problem: string): void {
    this.#problems.push(problem);
  }

  /** Takes the next chunk. */
  add(chunk: unknown): void {
    const { model, usage, choices } = toObject(chunk);
    this.#servedModel = toName(model) || this.#servedModel;
    this.#count(toObject(usage));
    if (choices === undefined || choices === null) return;
    if (!Array.isArray(choices)) return this.note('the choices of a chunk are not a list');
    for (const choice of choices) this.#addChoice(toObject(choice));
  }

  finish(requestId: string | undefined): ModelAnswer {
    if (!this.isWhole) throw new AnswerCutError('the stream ended without finish_reason');
    const { calls } = this.#calls;
    const texts = [this.#text, this.#refusal].filter((text) => text !== '');
    return {
      parts: [
        ...texts.map((text) => ({ kind: 'text', text: toWireText(text) }) as const),
        ...calls.map((call) => toCallPart(call, call.arguments)),
      ],
      usage: this.usage,
      ...judgeStop({
        meaning: this.#refusal === '' ? MEANINGS.get(this.#finishReason) : 'refusal',
        word: this.#finishReason,
        calls: calls.length,
        problems: this.#problems,
      }),
      servedModel: this.#servedModel,
      requestId,
    };
  }

  /** A later count replaces, a missing one leaves what was there. */
  #count({ prompt_tokens: input, completion_tokens: output, ...usage }: Reported): void {
    const cached = toObject(usage['prompt_tokens_details'])['cached_tokens'];
    for (const [name, value] of Object.entries({ input, output, cached }))
      if (typeof value === 'number') this.#tokens[name as 'input'] = toTokens(value);
  }

  #addChoice({ index = 0, delta, finish_reason: reason }: Reported): void {
    if (index !== 0) return this.note('the answer holds a second choice, which was not asked for');
    const { content, refusal, tool_calls: calls, function_call: legacy } = toObject(delta);
    const pieces = toPieces(calls, legacy);
    if (this.isWhole && (content || refusal || pieces.length > 0))
      this.note('the answer went on after its end');
    this.#text += this.#textOf(content);
    this.#refusal += this.#textOf(refusal);
    for (const piece of pieces) {
      const problem = this.#calls.add(piece);
      if (problem !== undefined) this.note(problem);
    }
    this.#end(reason);
  }

  /** Some compatible servers say an empty reason until the end. */
  #end(reason: unknown): void {
    if (reason === null || reason === undefined || reason === '') return;
    if (this.isWhole && reason !== this.#finishReason)
      this.note('the answer ended twice, for two reasons');
    this.#finishReason ??= reason;
  }

  #textOf(content: unknown): string {
    if (content === undefined || content === null) return '';
    if (typeof content !== 'string') this.note('a text of the answer is not a text');
    return typeof content === 'string' ? content : '';
  }
}

/** Pieces of calls; the legacy form has one call and no id. */
function toPieces(calls: unknown, legacy: unknown): readonly unknown[] {
  const pieces: unknown[] = Array.isArray(calls) ? calls : calls ? [calls] : [];
  return legacy ? [...pieces, { index: -1, function: legacy }] : pieces;
}

/** What OpenAI documents. */
const MEANINGS: ReadonlyMap<unknown, StopReason> = new Map<unknown, StopReason>([
  ['stop', 'end'],
  ['tool_calls', 'tool-calls'],
  ['function_call', 'tool-calls'],
  ['length', 'max-tokens'],
  ['content_filter', 'refusal'],
]);

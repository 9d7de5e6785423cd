// Puts the events of Anthropic's stream together. Takes any event: what can't be read becomes a problem, never an error.
import type Anthropic from '@anthropic-ai/sdk';
import type { Json } from '../../domain/rules/json.ts';
import type { ModelAnswer, Part, StopReason, Usage } from '../../domain/rules/transcript.ts';
import { readArguments } from './arguments-text.ts';
import { type Reported, toCallPart, toName, toObject, toTokens } from './reported.ts';
import { AnswerCutError } from './sdk-errors.ts';
import { judgeStop } from './stop-reason.ts';
import type { AnswerAssembly } from './streamed-call.ts';
import { toWireText } from './wire-values.ts';

/** One content block as it grows; `json` collects the pieces of a tool's input. */
interface GrowingBlock {
  readonly fields: Record<string, unknown>;
  json: string;
  isDone: boolean;
}

type CountName = keyof Anthropic.MessageDeltaUsage;

export class AnthropicAnswer implements AnswerAssembly {
  readonly #requestedModel: string;
  readonly #blocks = new Map<number, GrowingBlock>();
  readonly #problems: string[] = [];
  #hasStarted = false;
  #isWhole = false;
  #servedModel = '';
  #stopReason: unknown = null;
  #counts: Reported = {};

  constructor(requestedModel: string) {
    this.#requestedModel = requestedModel;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Unreported counts are 0. */
  get usage(): Usage {
    const cached = this.#tokens('cache_read_input_tokens');
    const written = this.#tokens('cache_creation_input_tokens');
    return {
      inputTokens: this.#tokens('input_tokens') + cached + written,
      outputTokens: this.#tokens('output_tokens'),
      cachedInputTokens: cached,
      cacheWriteInputTokens: written,
    };
  }

  note(problem: string): void {
    this.#problems.push(problem);
  }

  /** Takes the next event; unknown kinds are skipped, as Anthropic asks of its clients. */
  add(event: unknown): void {
    const fields = toObject(event);
    if (typeof fields['type'] !== 'string') return this.note('an event of the answer has no type');
    if (this.#isWhole && isOfAnswer(fields)) this.note('the answer went on after its end');
    switch (fields['type']) {
      case 'message_start':
        return this.#start(toObject(fields['message']));
      case 'content_block_start':
        return this.#startBlock(fields['index'], toObject(fields['content_block']));
      case 'content_block_delta':
        return this.#grow(fields['index'], toObject(fields['delta']));
      case 'content_block_stop':
        return this.#endBlock(fields['index']);
      case 'message_delta':
        this.#end(toObject(fields['delta'])['stop_reason'] ?? null);
        return this.#count(fields['usage']);
      case 'message_stop':
        this.#isWhole = true;
    }
  }

  finish(requestId: string | undefined): ModelAnswer {
    if (!this.#isWhole) throw new AnswerCutError('the stream ended before message_stop');
    const blocks = [...this.#blocks];
    const unended = blocks.find(([, { isDone }]) => !isDone);
    if (unended) this.note(`block ${unended[0]} of the answer never ended`);
    const parts = blocks.map(([, block]) => this.#toPart(block));
    return {
      parts: parts.filter((part) => part.kind !== 'text' || part.text !== ''),
      usage: this.usage,
      ...judgeStop({
        meaning: MEANINGS.get(this.#stopReason),
        word: this.#stopReason,
        calls: parts.filter(({ kind }) => kind === 'tool-call').length,
        problems: this.#problems,
      }),
      servedModel: this.#servedModel,
      requestId,
    };
  }

  #start(message: Reported): void {
    if (this.#hasStarted) this.note('a second message began in the answer');
    this.#hasStarted = true;
    this.#servedModel = toName(message['model']);
    this.#count(message['usage']);
  }

  #startBlock(index: unknown, block: Reported): void {
    if (typeof index !== 'number' || typeof block['type'] !== 'string')
      return this.note('a block of the answer has no number or no type');
    if (this.#blocks.has(index)) return this.note(`block ${index} of the answer began twice`);
    this.#blocks.set(index, { fields: { ...block }, json: '', isDone: false });
  }

  #grow(index: unknown, delta: Reported): void {
    const block = this.#blocks.get(index as number);
    if (!block || block.isDone)
      return this.note(`a piece came for block ${String(index)}, which is not open`);
    const grows = GROWS[String(delta['type'])];
    if (!grows) return;
    const piece = delta[grows.from];
    if (typeof piece !== 'string' || !grows.takes(String(block.fields['type'])))
      return this.note(`a piece does not fit block ${String(index)}`);
    if (grows.into === undefined) block.json += piece;
    else block.fields[grows.into] = `${textOf(block.fields[grows.into])}${piece}`;
  }

  #endBlock(index: unknown): void {
    const block = this.#blocks.get(index as number);
    if (block) block.isDone = true;
    else this.note(`block ${String(index)} ended, and it never began`);
  }

  #end(reason: unknown): void {
    if (reason !== null && this.#stopReason !== null && reason !== this.#stopReason)
      this.note('the answer ended twice, for two reasons');
    this.#stopReason = reason ?? this.#stopReason;
  }

  #toPart({ fields, json }: GrowingBlock): Part {
    const { type, input } = fields;
    if (type === 'text') return { kind: 'text', text: toWireText(textOf(fields['text'])) };
    if (type === 'tool_use') {
      if (typeof fields['name'] !== 'string') this.note('a call of the answer has no name');
      const { text, problem } = toInputText(input, json);
      return toCallPart({ id: fields['id'], name: fields['name'] }, text, problem);
    }
    const block = toKept({ ...fields, ...toInput(json) });
    return { kind: 'opaque', provider: 'anthropic', data: { model: this.#requestedModel, block } };
  }

  /** Counts are cumulative: a later one replaces, a missing one leaves what was there. */
  #count(counts: unknown): void {
    const known = Object.entries(toObject(counts)).filter(([, value]) => typeof value === 'number');
    this.#counts = { ...this.#counts, ...Object.fromEntries(known) };
  }

  #tokens(name: CountName): number {
    return toTokens(this.#counts[name]);
  }
}

interface Growth {
  readonly from: string;
  /** The field that grows; undefined for the input's JSON. */
  readonly into?: string;
  readonly takes: (blockType: string) => boolean;
}

/** Deltas by their type; others, such as citations, are not kept. */
const GROWS: Readonly<Record<string, Growth>> = {
  text_delta: { from: 'text', into: 'text', takes: (type) => type === 'text' },
  thinking_delta: { from: 'thinking', into: 'thinking', takes: (type) => type === 'thinking' },
  signature_delta: { from: 'signature', into: 'signature', takes: (type) => type === 'thinking' },
  input_json_delta: {
    from: 'partial_json',
    takes: (type) => type !== 'text' && type !== 'thinking',
  },
};

function isOfAnswer({ type }: Reported): boolean {
  return typeof type === 'string' && /^(message_start|message_delta|content_block_)/.test(type);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Some compatible servers give the input with the block's start, and not in pieces. */
function toInputText(
  input: unknown,
  json: string,
): { readonly text: string; readonly problem?: string } {
  if (Object.keys(toObject(input)).length === 0 || input === undefined) return { text: json };
  const { text, isExact } = toJsonText(input);
  if (json !== '') return { text: json, problem: 'the arguments came twice' };
  return isExact ? { text } : { text, problem: 'a number is too large, or the nesting too deep' };
}

function toJsonText(value: unknown): { readonly text: string; readonly isExact: boolean } {
  let isExact = true;
  const check = (_key: string, each: unknown): unknown => {
    if (typeof each === 'number' && !Number.isFinite(each)) isExact = false;
    return each;
  };
  try {
    return { text: JSON.stringify(value, check), isExact };
  } catch {
    return { text: '', isExact: false };
  }
}

/** The input of a block that is not ours to read; nothing when its JSON can't be read. */
function toInput(json: string): { readonly input?: unknown } {
  try {
    return json === '' ? {} : { input: JSON.parse(json) as unknown };
  } catch {
    return {};
  }
}

/** A block that is not ours to read, if it can be stored as it is; else its type alone. */
function toKept(block: Reported): Json {
  const read = readArguments(toJsonText(block).text);
  return read.kind === 'value' ? read.value : { type: toName(block['type']) };
}

/** What Anthropic documents. */
const MEANINGS: ReadonlyMap<unknown, StopReason> = new Map<unknown, StopReason>([
  ['end_turn', 'end'],
  ['stop_sequence', 'end'],
  ['tool_use', 'tool-calls'],
  ['max_tokens', 'max-tokens'],
  ['model_context_window_exceeded', 'max-tokens'],
  ['refusal', 'refusal'],
  ['pause_turn', 'paused'],
]);

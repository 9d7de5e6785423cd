// A transcript as every provider accepts it, whatever stands in it. Pure: a longer transcript begins with the same messages.
import type { Message, Part, ToolResultPart } from '../../domain/rules/transcript.ts';
import { toResultText, toWireId, toWireName, toWireText } from './wire-values.ts';

/** One message; roles alternate, and the first and the last message are the user's. */
export type SendableMessage =
  | { readonly role: 'assistant'; readonly parts: readonly SendablePart[] }
  | {
      readonly role: 'user';
      /** One for each call of the message before, in the order of the calls. */
      readonly results: readonly SendableResult[];
      readonly texts: readonly string[];
    };

export type SendablePart = Exclude<Part, { kind: 'tool-result' }>;

export interface SendableResult {
  readonly id: string;
  readonly text: string;
  readonly isError: boolean;
}

/** Whether an opaque part can go back to the model that is asked now. */
export type TakesOpaque = (part: OpaquePart) => boolean;

export type OpaquePart = Extract<Part, { kind: 'opaque' }>;

/**
 * The messages as they can be sent: ids are unique and short, every provider takes the names and texts, blank texts and
 * messages without anything else are left out, and each call has exactly one result, directly after it.
 */
export function toSendable(
  messages: readonly Message[],
  takesOpaque: TakesOpaque,
): readonly SendableMessage[] {
  const turns = new Turns(takesOpaque);
  for (const { role, parts } of messages) {
    if (role === 'assistant') turns.addAnswer(parts);
    else turns.addUser(parts);
  }
  return turns.toMessages();
}

const NOTHING_SAID = '(no text)';
const GO_ON = 'Go on.';
const NO_RESULT = '{"error":"unknown","message":"there is no result of this call"}';

/** A call that is sent, and the id that it and its result have in the transcript. */
interface SentCall {
  readonly id: string;
  readonly storedId: string;
  result?: SendableResult;
}

/** An answer, empty in the first turn, and what the user's side says to it. */
interface Turn {
  readonly answer: SendablePart[];
  readonly calls: SentCall[];
  readonly texts: string[];
}

class Turns {
  readonly #takesOpaque: TakesOpaque;
  readonly #ids = new UniqueIds();
  readonly #turns: Turn[] = [];
  #turn: Turn = this.#begin();

  constructor(takesOpaque: TakesOpaque) {
    this.#takesOpaque = takesOpaque;
  }

  /** An answer that directly follows another one without calls continues it. */
  addAnswer(parts: readonly Part[]): void {
    const said = this.#toSaid(parts);
    if (said.length === 0) return;
    const { answer, calls, texts } = this.#turn;
    if (answer.length === 0 || calls.length > 0 || texts.length > 0) this.#turn = this.#begin();
    for (const part of said) this.#turn.answer.push(this.#rename(part));
  }

  addUser(parts: readonly Part[]): void {
    for (const part of parts) {
      if (part.kind === 'text') this.#turn.texts.push(...toTexts(part.text));
      if (part.kind === 'tool-result') this.#addResult(part);
    }
  }

  toMessages(): readonly SendableMessage[] {
    const [first] = this.#turns;
    if (first?.texts.length === 0) first.texts.push(NOTHING_SAID);
    if (this.#turn.calls.length === 0 && this.#turn.texts.length === 0)
      this.#turn.texts.push(GO_ON);
    return this.#turns.flatMap(toTurnMessages);
  }

  #begin(): Turn {
    const turn: Turn = { answer: [], calls: [], texts: [] };
    this.#turns.push(turn);
    return turn;
  }

  /** No provider takes an answer that ends with thinking. */
  #toSaid(parts: readonly Part[]): readonly SendablePart[] {
    const said = parts.flatMap((part): SendablePart[] => {
      if (part.kind === 'text') return toTexts(part.text).map((text) => ({ kind: 'text', text }));
      if (part.kind === 'tool-call') return [part];
      return part.kind === 'opaque' && this.#takesOpaque(part) ? [part] : [];
    });
    return said.slice(0, said.findLastIndex(({ kind }) => kind !== 'opaque') + 1);
  }

  #rename(part: SendablePart): SendablePart {
    if (part.kind !== 'tool-call') return part;
    const id = this.#ids.next(part.id);
    this.#turn.calls.push({ id, storedId: part.id });
    return { ...part, id, name: toWireName(part.name) };
  }

  /** Results of calls with one id come in the order of the calls; a result without a call says nothing to the model. */
  #addResult(part: ToolResultPart): void {
    const call = this.#turn.calls.find(({ storedId, result }) => storedId === part.id && !result);
    if (call) call.result = { id: call.id, text: toResultText(part), isError: part.isError };
  }
}

function toTurnMessages({ answer, calls, texts }: Turn): readonly SendableMessage[] {
  const results = calls.map(({ id, result }) => result ?? { id, text: NO_RESULT, isError: true });
  const user = { role: 'user', results, texts } as const;
  return answer.length === 0 ? [user] : [{ role: 'assistant', parts: answer }, user];
}

function toTexts(text: string): readonly string[] {
  return text.trim() === '' ? [] : [toWireText(text)];
}

/** Makes ids unique in a conversation; which one depends only on what came before. */
class UniqueIds {
  readonly #used = new Set<string>();
  readonly #repetitions = new Map<string, number>();

  next(stored: string): string {
    let repetition = this.#repetitions.get(stored) ?? 0;
    let id = toWireId(stored, repetition);
    while (this.#used.has(id)) id = toWireId(stored, (repetition += 1));
    this.#repetitions.set(stored, repetition + 1);
    this.#used.add(id);
    return id;
  }
}

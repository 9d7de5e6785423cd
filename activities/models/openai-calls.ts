// The tool calls of a stream in OpenAI's format, put together from pieces that many servers number in their own way.
import { toName, toObject } from './reported.ts';

/** A call as it grows. */
export interface GrowingCall {
  /** Comes with the first piece, as the name does. */
  readonly id: string;
  readonly name: string;
  arguments: string;
}

/** The calls that came under one number, or without one; the last one grows. */
interface Slot {
  readonly calls: GrowingCall[];
  /** A further call began while this one was not whole: what comes without an id may belong to either. */
  isAmbiguous: boolean;
}

/** A new id begins a call. What can't be told apart is a problem: arguments must never reach another call. */
export class OpenAiCalls {
  readonly #slots = new Map<number | undefined, Slot>();
  readonly #calls: GrowingCall[] = [];

  /** In the order in which they began. */
  get calls(): readonly GrowingCall[] {
    return this.#calls;
  }

  /** Takes a piece; the problem with it, if there is one. */
  add(piece: unknown): string | undefined {
    const { index, id, function: given } = toObject(piece);
    const { name, arguments: text = '' } = toObject(given);
    if (text !== null && typeof text !== 'string') return 'the arguments of a call are not a text';
    const slot = this.#slotOf(typeof index === 'number' ? index : undefined);
    const head = { id: toName(id), name: toName(name) };
    const call = find(slot, head);
    if (typeof call === 'string') return call;
    if (!call && typeof name !== 'string') return 'a piece of a call belongs to no call that began';
    const growing = call ?? this.#begin(slot, head);
    growing.arguments += text ?? '';
    return undefined;
  }

  #slotOf(index: number | undefined): Slot {
    const slot = this.#slots.get(index) ?? { calls: [], isAmbiguous: false };
    this.#slots.set(index, slot);
    return slot;
  }

  #begin(slot: Slot, head: Pick<GrowingCall, 'id' | 'name'>): GrowingCall {
    const last = slot.calls.at(-1);
    if (last && !isWholeJson(last.arguments)) slot.isAmbiguous = true;
    const call = { ...head, arguments: '' };
    slot.calls.push(call);
    this.#calls.push(call);
    return call;
  }
}

/** The call that a piece belongs to; undefined: a new one; a text: why nobody can tell. */
function find(
  { calls, isAmbiguous }: Slot,
  { id, name }: { readonly id: string; readonly name: string },
): GrowingCall | string | undefined {
  const last = calls.at(-1);
  if (!last) return undefined;
  if (id !== '') {
    const same = calls.findLast((call) => call.id === id);
    if (same && name !== '' && same.name !== name) return 'two calls have one id and one number';
    return same;
  }
  if (isAmbiguous) return 'a piece of a call has no id, and it may belong to several calls';
  if (name !== '') return 'two calls have no ids that tell them apart';
  return last;
}

function isWholeJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// Mutated streams of both formats through the real SDKs and adapters: counts what was read, and what must never have been.
import type { Message, ModelAnswer, Part } from '../../../domain/rules/transcript.ts';
import { ModelCallError } from '../../../activities/models/model-provider.ts';
import type { FuzzReport, FuzzRun } from '../kinds.ts';
import { type Carrier, createCarrier } from './carry.ts';
import { type ChangedStream, changeStream } from './change-stream.ts';
import { findRefusal, judgeAnswer, sentCalls, type Violation, VIOLATIONS } from './judge.ts';
import { intactCalls, signOf } from './oracle.ts';

/** One of so many goes over a real socket. */
const SOCKET_SHARE = 20;
/** Answers in a row that make one conversation. */
const CONVERSATION = 8;
const EXAMPLES_MAX = 5;
const PROGRESS_CASES = 10_000;

export async function fuzzStreams({ seed, cases, onProgress }: FuzzRun): Promise<FuzzReport> {
  const carrier = await createCarrier();
  const fuzzer = new StreamFuzzer(carrier, seed);
  try {
    for (let number = 0; number < cases; number += 1) {
      await fuzzer.run(number);
      if ((number + 1) % PROGRESS_CASES === 0) onProgress?.(number + 1);
    }
    return fuzzer.report();
  } finally {
    await carrier.close();
  }
}

class StreamFuzzer {
  readonly #carrier: Carrier;
  readonly #seed: number;
  readonly #counts = new Map<string, number>();
  readonly #violations = new Map<Violation, number>();
  readonly #examples: string[] = [];
  #messages: Message[] = [];

  constructor(carrier: Carrier, seed: number) {
    this.#carrier = carrier;
    this.#seed = seed;
  }

  async run(number: number): Promise<void> {
    const odd = changeStream(this.#seed, number);
    const { format } = odd.stream;
    this.#count(`streams of ${format}`);
    const isOnSocket = number % SOCKET_SHARE === 0;
    if (isOnSocket) this.#count('of them over a real socket');
    try {
      this.#take(odd, await this.#carrier.read(format, odd.body, isOnSocket));
    } catch (error) {
      this.#fail(odd, error);
    }
  }

  report(): FuzzReport {
    const names = Object.keys(VIOLATIONS) as Violation[];
    return {
      counts: Object.fromEntries([...this.#counts].sort()),
      violations: Object.fromEntries(
        names.map((name) => [VIOLATIONS[name], this.#violations.get(name) ?? 0]),
      ),
      examples: this.#examples,
    };
  }

  #take(odd: ChangedStream, answer: ModelAnswer): void {
    const { stream, events, wire } = odd;
    this.#count(`answers: ${answer.stopReason}`);
    const sent = sentCalls(answer);
    for (const _ of sent) this.#count('calls that would be sent');
    const intact = intactCalls(stream.format, stream.events, events, stream.calls);
    const judged = { format: stream.format, answer, wire, intact };
    for (const violation of judgeAnswer(judged)) this.#violate(odd, violation, answer);
    this.#goOn(odd, answer);
  }

  /** The next turn, with the results or, as after an answer that is not acted on, without. */
  #goOn(odd: ChangedStream, answer: ModelAnswer): void {
    const { dice } = odd;
    if (odd.number % CONVERSATION === 0) this.#messages = [];
    const hasResults = answer.stopReason === 'tool-calls' && dice.chance(0.9);
    this.#messages.push(
      {
        role: 'assistant',
        parts: keepSignedThinking(odd, answer.parts, () =>
          this.#count('changed thinking, left out'),
        ),
      },
      ...(hasResults ? answer.parts.flatMap(toResult) : []),
      ...(dice.chance(0.5)
        ? [{ role: 'user', parts: [{ kind: 'text', text: 'And?' }] } as const]
        : []),
    );
    this.#count('next requests to each provider');
    const refusal = findRefusal(this.#messages);
    if (refusal === undefined) return;
    this.#violate(odd, 'refused', refusal);
    this.#messages = [];
  }

  #fail(odd: ChangedStream, error: unknown): void {
    const isFailure = error instanceof ModelCallError;
    this.#count(isFailure ? `failed: ${error.facts.kind}` : 'stray errors');
    if (!isFailure) this.#violate(odd, 'strayError', String(error));
    else if (odd.wire.isWhole) this.#violate(odd, 'boughtAgain', error.message);
  }

  #count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  #violate(odd: ChangedStream, violation: Violation, what: unknown): void {
    this.#violations.set(violation, (this.#violations.get(violation) ?? 0) + 1);
    if (this.#examples.length >= EXAMPLES_MAX) return;
    const { number, changes, body } = odd;
    const said = JSON.stringify(what).slice(0, 600);
    this.#examples.push(
      `${VIOLATIONS[violation]}: case ${number} of seed ${this.#seed} (${changes.join(', ')})\n${said}\n${body.slice(0, 2_000)}`,
    );
  }
}

/** A signature is the provider's alone to check: thinking that lost a piece on its way can't be told from whole one. */
function keepSignedThinking(
  odd: ChangedStream,
  parts: readonly Part[],
  onLost: () => void,
): readonly Part[] {
  const { format, events } = odd.stream;
  if (!parts.some(({ kind }) => kind === 'opaque')) return parts;
  const isKept = signOf(format, events, 0) === signOf(format, odd.events, 0);
  if (!isKept) onLost();
  return isKept ? parts : parts.filter(({ kind }) => kind !== 'opaque');
}

function toResult(part: Part): Message[] {
  if (part.kind !== 'tool-call') return [];
  const { id, name } = part;
  return [
    { role: 'tool', parts: [{ kind: 'tool-result', id, name, content: 'done', isError: false }] },
  ];
}

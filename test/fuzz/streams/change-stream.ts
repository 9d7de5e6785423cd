// One changed stream from a seed and a number: the same again for the same two.
import { createDice, type Dice } from './dice.ts';
import { mutate, textOf } from './mutate.ts';
import { readWire, type Wire } from './oracle.ts';
import { type Format, record, type RecordedStream, type StreamEvent } from './recorded.ts';

export interface ChangedStream {
  readonly number: number;
  readonly stream: RecordedStream;
  readonly events: readonly StreamEvent[];
  readonly changes: readonly string[];
  readonly body: string;
  readonly wire: Wire;
  /** Thrown so far for this stream alone. */
  readonly dice: Dice;
}

export function changeStream(seed: number, number: number): ChangedStream {
  const dice = createDice(seed * 1_000_003 + number);
  const format: Format = dice.pick(['anthropic', 'openai']);
  const stream = record(format, dice, `c${number}`);
  const events = structuredClone(stream.events) as StreamEvent[];
  const changes = mutate(events, dice, format);
  const body = events.map((event) => toBytes(format, event)).join('');
  return { number, stream, events, changes, body, wire: readWire(format, body), dice };
}

function toBytes(format: Format, event: StreamEvent): string {
  const type = (event.value as { type?: unknown } | null)?.type;
  const isNamed = format === 'anthropic' && typeof type === 'string';
  return `${isNamed ? `event: ${type.replaceAll(/\s/g, '')}\n` : ''}data: ${textOf(event)}\n\n`;
}

// Changes of a stream: drop, repeat, cut, reorder, merge, swap fields, odd values. Each takes and gives events.
import type { Dice } from './dice.ts';
import type { Format, StreamEvent } from './recorded.ts';

type Mutation = (events: StreamEvent[], dice: Dice, format: Format) => void;

/** Applies none to four changes; the names of those that were made. */
export function mutate(events: StreamEvent[], dice: Dice, format: Format): readonly string[] {
  const count = dice.pick([0, 1, 1, 1, 2, 2, 3, 4]);
  return Array.from({ length: count }, () => {
    const name = dice.pick(NAMES);
    if (events.length > 0) mutations[name](events, dice, format);
    return name;
  });
}

const mutations = {
  drop: (events, dice) => void events.splice(dice.below(events.length), 1 + dice.below(2)),
  repeat(events, dice) {
    const at = dice.below(events.length);
    events.splice(dice.below(events.length + 1), 0, copyOf(events[at]));
  },
  cut: (events, dice) => void events.splice(dice.below(events.length + 1)),
  cutBytes(events, dice) {
    const event = dice.pick(events);
    const text = textOf(event);
    event.bytes = text.slice(0, dice.below(text.length + 1));
  },
  move(events, dice) {
    const [event] = events.splice(dice.below(events.length), 1);
    if (event) events.splice(dice.below(events.length + 1), 0, event);
  },
  interleave(events, dice) {
    // Pieces of several calls side by side, each call's own in their order.
    const owned = events.filter(({ owner }) => owner !== undefined);
    const queues = [...new Set(owned.map(({ owner }) => owner))].map((each) =>
      owned.filter(({ owner }) => owner === each),
    );
    events.forEach((event, at) => {
      if (event.owner === undefined) return;
      const left = queues.filter((queue) => queue.length > 0);
      events[at] = dice.pick(left).shift() ?? event;
    });
  },
  merge(events, dice, format) {
    const at = dice.below(events.length);
    const [first, second] = [events[at], events[at + 1]];
    if (!first || !second) return;
    if (format === 'openai' && mergeDeltas(first, second)) events.splice(at + 1, 1);
    else events.splice(at, 2, { ...first, bytes: `${textOf(first)}\ndata: ${textOf(second)}` });
  },
  swapFields(events, dice) {
    const [one, other] = [dice.pick(events), dice.pick(events)];
    const place = dice.pick(placesOf(one.value));
    const match = placesOf(other.value).find(({ path }) => path === place?.path);
    if (!place || !match) return;
    const kept = place.holder[place.key];
    place.holder[place.key] = match.holder[match.key];
    match.holder[match.key] = kept;
  },
  oddValue(events, dice) {
    const place = dice.pick(placesOf(dice.pick(events).value));
    if (place) place.holder[place.key] = structuredClone(dice.pick(ODD_VALUES));
  },
  noField(events, dice) {
    const place = dice.pick(placesOf(dice.pick(events).value));
    if (place) delete place.holder[place.key];
  },
  oneIndex: (events) => setIndexes(events, 0),
  noIndex: (events) => setIndexes(events, undefined),
  oddArguments(events, dice) {
    const pieces = events
      .flatMap(({ value }) => placesOf(value))
      .filter(({ key }) => ['partial_json', 'arguments'].includes(key));
    const place = dice.pick(pieces);
    if (place) place.holder[place.key] = dice.pick(ODD_ARGUMENTS);
  },
  insert: (events, dice) =>
    void events.splice(dice.below(events.length + 1), 0, copyOf(dice.pick(ODD_EVENTS))),
  splice(events, dice) {
    const again = events.slice(dice.below(events.length)).map(copyOf);
    events.splice(dice.below(events.length + 1), 0, ...again);
  },
} satisfies Record<string, Mutation>;

const NAMES = Object.keys(mutations) as (keyof typeof mutations)[];

const deep = (depth: number): unknown =>
  Array.from({ length: depth }).reduce((inner) => [inner], 1 as unknown);
const ODD_VALUES: readonly unknown[] = [
  ...[null, true, 0, 1, -1, 0.5, 1e308, Number.MAX_SAFE_INTEGER, '', ' ', 'x', '0', [], {}, [{}]],
  ...['\ud800', '\u0000', 'y'.repeat(5_000), deep(50), deep(1_000), { type: 'text', text: 'x' }],
];
const ODD_ARGUMENTS = [
  ...['', ' ', '{}', '{', '}', '[7]', '"x"', 'null', '{"a":1e400}', '{"a":9007199254740993}'],
  ...['{"a":1,"a":2}', '{"__proto__":{}}', '"\\ud800"', '"\\u0000"', '{"a":0.1}'],
  ...[`${'['.repeat(6_000)}${']'.repeat(6_000)}`, '\ufeff{}', 'x'.repeat(20_000)],
];
const ODD_EVENTS: readonly StreamEvent[] = [
  ...[null, 7, 'x', [], {}, { type: 'ping' }, { type: 'brand_new', index: 0 }],
  ...[
    { choices: null },
    { choices: [] },
    { choices: [{}] },
    { choices: [{ index: 1, delta: {} }] },
  ],
  { usage: { prompt_tokens: 3, completion_tokens: 4 } },
  { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
  { type: 'message_stop' },
].map((value) => ({ value }));

function copyOf(event: StreamEvent | undefined): StreamEvent {
  return structuredClone(event ?? { value: null });
}

export function textOf({ value, bytes }: StreamEvent): string {
  return bytes ?? JSON.stringify(value) ?? 'null';
}

interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
  readonly path: string;
}

/** Every member of every object in a value. */
function placesOf(value: unknown, path = ''): readonly Place[] {
  if (typeof value !== 'object' || value === null || path.length > 200) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [
    { holder, key, path: `${path}/${key}` },
    ...placesOf(holder[key], `${path}/${key}`),
  ]);
}

interface Chunk {
  choices?: { delta?: { tool_calls?: { index?: number }[] } }[];
}

function callsOf(event: StreamEvent): { index?: number }[] | undefined {
  const calls = (event.value as Chunk | null)?.choices?.[0]?.delta?.tool_calls;
  return Array.isArray(calls) ? calls : undefined;
}

function mergeDeltas(first: StreamEvent, second: StreamEvent): boolean {
  const [into, from] = [callsOf(first), callsOf(second)];
  if (!into || !from || first.owner !== second.owner) return false;
  into.push(...from);
  return true;
}

function setIndexes(events: readonly StreamEvent[], index: number | undefined): void {
  for (const call of events.flatMap((event) => callsOf(event) ?? [])) {
    if (typeof call !== 'object' || call === null) continue;
    if (index === undefined) delete call.index;
    else call.index = index;
  }
}

// Histories that go to Temporal's core as the bytes they are: the SDK would decode each and encode it again.
import { createRequire } from 'node:module';
import type { HistoryFile, NamedHistory } from './history-file.ts';

/** What the SDK looks at of a history before it encodes it: its first event. */
const UNREAD_EVENT = { eventId: 0 };

class RawHistory {
  readonly bytes: Uint8Array;
  readonly events: readonly unknown[];
  constructor(bytes: Uint8Array, events: number) {
    this.bytes = bytes;
    this.events = new Array<unknown>(events).fill(UNREAD_EVENT);
  }
}

/** The history, not decoded; undefined when it must be: JSON, no event, or not what it says it is. */
export function toRawHistory({ name, format, bytes }: HistoryFile): NamedHistory | undefined {
  const events = format === 'protobuf' ? countEncodedEvents(bytes) : 0;
  return events > 0 ? { name, history: new RawHistory(bytes, events) } : undefined;
}

/** A `History` is nothing but its field 1, repeated: its events, each with its length. 0 for anything else. */
export function countEncodedEvents(bytes: Uint8Array): number {
  let events = 0;
  for (let at = 0; at < bytes.length; events += 1) {
    if (bytes[at] !== 0x0a) return 0;
    let length = 0;
    let shift = 1;
    do {
      at += 1;
      length += ((bytes[at] ?? 0) & 0x7f) * shift;
      shift *= 128;
    } while ((bytes[at] ?? 0) >= 0x80 && shift < 2 ** 35);
    at += 1 + length;
    if (at > bytes.length) return 0;
  }
  return events;
}

type Push = (pusher: unknown, workflowId: string, history: unknown) => Promise<void>;

/** Makes the SDK of this process hand raw histories on. */
export function sendRawHistories(runtime: { readonly prototype: object }): void {
  const require = createRequire(import.meta.url);
  const bridge = createRequire(require.resolve('@temporalio/worker'))(
    '@temporalio/core-bridge',
  ) as {
    native: { pushHistory: Push };
  };
  const prototype = runtime.prototype as { pushHistory: Push };
  const { pushHistory } = prototype;
  prototype.pushHistory = function (pusher, workflowId, history) {
    return history instanceof RawHistory
      ? bridge.native.pushHistory(pusher, workflowId, withLength(history.bytes))
      : pushHistory.call(this, pusher, workflowId, history);
  };
}

function withLength(bytes: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) length.push((rest % 128) + 0x80);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

// The receiver: keys with a retention, the ways of its mode, a look-up that lags, and two append-only logs as ground truth.
import { dice, KEY_RETENTION_MS, type Mode, type Plan } from './cells.ts';
import type { VirtualTime } from './virtual-time.ts';

/** A request as it arrives. */
export interface Arrival {
  readonly method: string;
  readonly path: string;
  readonly key: string;
  readonly body: string;
}

export interface LoggedRequest extends Arrival {
  readonly atMs: number;
}

export interface Receipt {
  readonly receiptId: string;
  readonly key: string;
  readonly atMs: number;
}

/** What goes back on the wire; `cut`: the line breaks in the middle of the body. */
export type Answer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: string;
      readonly retryAfterS?: number;
    }
  | { readonly kind: 'cut' }
  | { readonly kind: 'reset' };

export interface Receiver {
  /** False: nobody listens, the connection is refused. Asked when a request leaves. */
  listens(method: string): boolean;
  handle(request: Arrival, reply: (answer: Answer) => void): void;
  readonly requests: readonly LoggedRequest[];
  readonly receipts: readonly Receipt[];
}

export const RETRY_AFTER_S = 2;
/** All of it ends inside the ledger's settle window (2 s), and the wire's own time too. */
const WORK_MAX_MS = 800;
const LAG_MAX_MS = 800;

/** What the receiver does with one write that no key answers. */
interface Way {
  readonly does: boolean;
  /** Nothing of it is kept under the key: it never came so far. */
  readonly isAtDoor?: boolean;
  readonly workMs: number;
  readonly answers: Answer | 'receipt' | 'silence';
  readonly answersAfterMs: number;
}

interface KeyEntry {
  readonly body: string;
  readonly sinceMs: number;
  answer: Answer | undefined;
}

export function createReceiver(time: VirtualTime, plan: Plan, random: () => number): Receiver {
  const requests: LoggedRequest[] = [];
  const receipts: Receipt[] = [];
  const keys = new Map<string, KeyEntry>();
  const lagMs = plan.cell.contract === 'reconcilable' ? random() * LAG_MAX_MS : 0;
  const ways = createWays(plan, random);
  let connections = 0;
  let writes = 0;
  let looks = 0;

  function write(request: Arrival, reply: (answer: Answer) => void): void {
    const known = keys.get(request.key);
    if (request.key !== '' && known && time.nowMs() < known.sinceMs + KEY_RETENTION_MS) {
      return answerKnown(known, request, reply);
    }
    writes += 1;
    const way = ways(writes);
    const entry: KeyEntry = { body: request.body, sinceMs: time.nowMs(), answer: undefined };
    if (request.key !== '' && !way.isAtDoor) keys.set(request.key, entry);
    time.after(way.workMs, () => {
      const receipt = way.does ? receiptOf(request) : undefined;
      if (receipt) receipts.push(receipt);
      const kept = stored(way, receipt);
      entry.answer = kept;
      if (way.answers === 'silence') return;
      const answer = way.answers === 'receipt' ? kept : way.answers;
      time.after(way.answersAfterMs, () => reply(answer));
    });
  }

  function receiptOf({ key }: Arrival): Receipt {
    return { receiptId: `receipt ${receipts.length + 1}`, key, atMs: time.nowMs() };
  }

  function look(reply: (answer: Answer) => void): void {
    looks += 1;
    if (plan.cell.mode === 'probe-fails' && looks === 1) return reply(refusal(503));
    const seen = receipts.filter(({ atMs }) => atMs + lagMs <= time.nowMs());
    reply(ok(seen.map(({ receiptId }) => ({ receiptId }))));
  }

  return {
    requests,
    receipts,
    listens(method) {
      if (
        method !== 'POST' &&
        plan.cell.contract !== 'transactional' &&
        plan.cell.contract !== 'read'
      )
        return true;
      connections += 1;
      return plan.cell.mode !== 'no-connection' || connections > 1;
    },
    handle(request, reply) {
      requests.push({ ...request, atMs: time.nowMs() });
      if (request.method === 'POST') return write(request, reply);
      if (request.path === '/receipts') return look(reply);
      if (request.path === '/standing') {
        return reply(receipts.length > 0 ? refusal(402, 'already_paid') : ok({}));
      }
      // Reads, and what transactional tools ask while their transaction is open: the same ways, and nothing is done.
      if (request.path === waitsAt(plan.cell.mode)) {
        writes += 1;
        const { answers, workMs, answersAfterMs } = ways(writes);
        if (answers === 'silence') return;
        const answer = answers === 'receipt' ? ok({}) : answers;
        time.after(workMs + answersAfterMs, () => reply(answer));
        return;
      }
      reply(ok({}));
    },
  };
}

/** Before or after the tool's own rows: where a mode strikes a transactional tool. */
function waitsAt(mode: Mode): string {
  return /after|mid-body/.test(mode) ? '/after' : '/before';
}

function answerKnown(known: KeyEntry, request: Arrival, reply: (answer: Answer) => void): void {
  if (known.body !== request.body) return reply(refusal(422));
  if (known.answer) return reply(known.answer);
  reply({ ...refusal(409), retryAfterS: 1 });
}

/** What the key replays: the receipt, the refusal, and the error that it answered with once, for ever. */
function stored(way: Way, receipt: Receipt | undefined): Answer {
  if (way.answers !== 'silence' && way.answers !== 'receipt' && way.answers.kind === 'answer') {
    return way.answers;
  }
  return ok({ receiptId: receipt?.receiptId ?? 'none' });
}

function ok(body: unknown): Extract<Answer, { kind: 'answer' }> {
  return { kind: 'answer', status: 200, body: JSON.stringify(body) };
}

function refusal(status: number, code = `http ${status}`): Extract<Answer, { kind: 'answer' }> {
  return { kind: 'answer', status, body: JSON.stringify({ code }) };
}

/** The way with the n-th write that no key answers; later ones find a receiver that works. */
function createWays({ cell, doesFirst }: Plan, random: () => number): (nth: number) => Way {
  const { contract, mode } = cell;
  const workMs = random() * WORK_MAX_MS;
  const does = { does: true, workMs, answersAfterMs: 0 };
  const not = { does: false, workMs: 0, answersAfterMs: 0, isAtDoor: true };
  const works: Way = { ...does, answers: 'receipt' };
  const isKeyed = contract === 'keyed';
  const first = ((): Way => {
    switch (mode) {
      case 'ok':
      case 'asks-first':
      case 'no-connection':
        return works;
      case 'slow':
        return { ...works, answersAfterMs: 2_500 + random() * 5_000 };
      case 'reject':
        return { ...not, isAtDoor: false, answers: refusal(402, 'declined') };
      case 'reject-once':
        // A receiver with keys keeps a refusal; what it says at its door it does not keep.
        return { ...not, answers: isKeyed ? refusal(403, 'not yet') : refusal(402, 'declined') };
      case '500-before':
        return { ...not, answers: refusal(500) };
      case '500-after':
        return { ...does, answers: refusal(500) };
      case 'timeout-before':
        return { ...not, answers: 'silence' };
      case 'timeout-after':
        return { ...does, answers: 'silence' };
      case 'reset-before':
        return { ...not, answers: { kind: 'reset' } };
      case 'reset-mid-body':
        return { ...does, answers: { kind: 'cut' } };
      case '409-in-flight':
        return isKeyed
          ? { ...does, workMs: 2_200 + random() * 600, answers: 'silence' }
          : { ...does, answers: refusal(409) };
      case '429':
        return { ...not, answers: { ...refusal(429), retryAfterS: RETRY_AFTER_S } };
      case 'probe-fails':
      case 'key-expired':
        return doesFirst ? { ...does, answers: 'silence' } : { ...not, answers: 'silence' };
    }
  })();
  return (nth) => (nth === 1 || mode === 'reject' ? first : works);
}

/** The time of one passage over the wire or to the ledger. */
export function wireMs(random: () => number): number {
  return dice(random, 40) / 2;
}

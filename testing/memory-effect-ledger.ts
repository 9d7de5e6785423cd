// An effect ledger in one process, for unit tests and simulations only: what it holds dies with the process.
import { LedgerUnavailable } from '../activities/ledger/database.ts';
import {
  type ApprovalStanding,
  type BeginAnswer,
  type DispatchAnswer,
  type DispatchRequest,
  type AsStored,
  type EffectIntent,
  type EffectLedger,
  type EffectRecord,
  type FactEntry,
  type FrozenRequest,
  NOT_AS_STORED,
  type OpenEffect,
  type Permission,
  type ToWake,
  type TransactAnswer,
} from '../activities/ledger/effect-ledger.ts';
import { ToolThrew } from '../activities/ledger/tool-transaction.ts';
import type { LedgerUnderTest } from './effect-ledger-fixture.ts';
import {
  claimed,
  controlOf,
  createMemoryState,
  entryOf,
  fold,
  identityOf,
  keep,
  keyOf,
  type MemoryState,
  noteLook,
  permit,
  recordsOf,
  toEntry,
} from './memory-effect-state.ts';
import { createLocks, type Locks } from './memory-locks.ts';
import {
  type Callback,
  createMemoryNotices,
  type MemoryNotices,
  type Notice,
} from './memory-notices.ts';
import { createMemoryRows, type MemoryRow, type MemoryRows } from './memory-rows.ts';

export interface MemoryLedgerOptions {
  /** The ledger's own clock, in epoch milliseconds. @default the machine's */
  readonly clock?: { nowMs(): number };
}

/** An effect ledger, and what a test does beside the engine as people, receivers and audits do. */
export interface MemoryEffectLedger extends EffectLedger, Omit<LedgerUnderTest, 'ledger'> {
  /** A receiver's word about what it had accepted. */
  callBack(callback: Callback): Promise<void>;
  /** What a human was asked about an effect, and has answered; the newest counts. */
  setApproval(effect: Pick<EffectIntent, 'tenant' | 'id'>, approval: ApprovalStanding): void;
  /** Every effect, in the order of their intents. */
  effects(): readonly EffectRecord[];
  /** The settlements and callbacks that no look has folded in yet. */
  waitingNotices(): readonly (Notice & { readonly effect: EffectRecord })[];
  /** The committed rows of a table that transactional tools write. */
  rows(table: string): readonly MemoryRow[];
}

interface Parts {
  readonly state: MemoryState;
  readonly notices: MemoryNotices;
  readonly tables: MemoryRows;
  readonly locks: Locks;
}

/**
 * An empty ledger. Each call is atomic: it judges and stores without giving way, but for the work of a `transact`, which
 * runs under locks.
 */
export function createMemoryEffectLedger({
  clock = { nowMs: Date.now },
}: MemoryLedgerOptions = {}): MemoryEffectLedger {
  const parts: Parts = {
    state: createMemoryState(clock),
    notices: createMemoryNotices(),
    tables: createMemoryRows(),
    locks: createLocks(),
  };
  return { ...createLedger(parts), ...createHands(parts) };
}

function createLedger(parts: Parts): EffectLedger {
  const { state, locks } = parts;
  return {
    intend(intents) {
      for (const intent of intents) intendOne(state, intent);
      return Promise.resolve();
    },
    begin(tenant, id, rootKey, intent) {
      if (intent) intendOne(state, intent);
      return begin(parts, tenant, id, rootKey);
    },
    dispatch: (request) => dispatch(parts, request),
    transact: (request, work) =>
      locks.hold(
        () => lockedBy(state, request),
        () => transact(parts, request, work),
      ),
    async append(tenant, id, entries) {
      await locks.free([keyOf(tenant, id)]);
      return keep(state, fold(state, entryOf(state, tenant, id), entries));
    },
    async conclude(seen, entries) {
      await locks.free([keyOf(seen.tenant, seen.id)]);
      const entry = state.entries.get(keyOf(seen.tenant, seen.id));
      if (entry?.record.version !== seen.version) return undefined;
      return keep(state, fold(state, entry, entries));
    },
    findOverdue: (limit) => Promise.resolve(toOpen(state, findOverdue(state)).slice(0, limit)),
    findDoubtsToAsk: (tools, limit) =>
      Promise.resolve(
        toOpen(state, findDoubtsToAsk(state))
          .filter(({ tool }) => tools.includes(tool))
          .slice(0, limit),
      ),
    findToWake: (limit) => Promise.resolve(findToWake(state).slice(0, limit)),
    noteWoken(tenant, id) {
      state.wakeDue.delete(keyOf(tenant, id));
      return Promise.resolve();
    },
    noteLook(tenant, id) {
      noteLook(state, entryOf(state, tenant, id));
      return Promise.resolve();
    },
    request(tenant, id) {
      const stored = state.requests.get(keyOf(tenant, id));
      return Promise.resolve(stored && copyOf(stored));
    },
  };
}

function createHands({
  state,
  notices,
  tables,
  locks,
}: Parts): Omit<MemoryEffectLedger, keyof EffectLedger> {
  return {
    async setControl(tenant, runKey, { paused = false, cancelled = false }) {
      const key = keyOf(tenant, runKey);
      await locks.free([key]);
      state.controls.set(key, { paused, cancelled });
    },
    settle({ tenant, id }, settlement) {
      notices.settle(tenant, id, settlement);
      return Promise.resolve();
    },
    callBack(callback) {
      notices.callBack(callback);
      return Promise.resolve();
    },
    setApproval({ tenant, id }, approval) {
      state.approvals.set(keyOf(tenant, id), approval);
    },
    facts: ({ tenant, id }) => Promise.resolve(state.entries.get(keyOf(tenant, id))?.facts ?? []),
    effects: () => recordsOf(state),
    waitingNotices: () =>
      [...state.entries.values()].flatMap(({ record, facts }) =>
        notices.named(record, facts).map((notice) => ({ ...notice, effect: record })),
      ),
    rows: (table) => tables.rows(table),
  };
}

function intendOne(state: MemoryState, intent: EffectIntent): void {
  if (state.entries.has(keyOf(intent.tenant, intent.id))) return;
  keep(state, fold(state, toEntry(intent), [{ fact: { kind: 'intended' } }]));
}

async function begin(
  { state, notices, locks }: Parts,
  tenant: string,
  id: string,
  rootKey: string,
): Promise<BeginAnswer | undefined> {
  const key = keyOf(tenant, id);
  const found = state.entries.get(key);
  if (!found) return undefined;
  const isWaiting = notices.waiting(found.record, found.facts).length > 0;
  if (isWaiting) {
    await locks.free([key]);
    foldNotices(state, notices, tenant, id);
  }
  const { record } = entryOf(state, tenant, id);
  return {
    record,
    control: controlOf(state, record),
    identity: identityOf(state, record),
    decision: state.approvals.get(key) ?? null,
    seq: state.seqs.get(keyOf(tenant, rootKey)) ?? 0,
    nowMs: state.clock.nowMs(),
  };
}

/** Looked at again: of several looks at once, one folds them in. */
function foldNotices(state: MemoryState, notices: MemoryNotices, tenant: string, id: string): void {
  const entry = entryOf(state, tenant, id);
  const waiting: readonly FactEntry[] = notices.waiting(entry.record, entry.facts);
  if (waiting.length > 0) keep(state, fold(state, entry, waiting));
}

async function dispatch(
  { state, locks }: Parts,
  request: DispatchRequest,
): Promise<DispatchAnswer> {
  const key = keyOf(request.tenant, request.id);
  await locks.free([key]);
  const { asStored } = request;
  if (asStored && !isAsStored(state, request, asStored)) return NOT_AS_STORED;
  const record = permit(state, request);
  if ('kind' in record) return asStored ? NOT_AS_STORED : record;
  if (request.request && !state.requests.has(key)) {
    state.requests.set(key, copyOf(request.request));
  }
  const frozen = request.request && (state.requests.get(key) ?? null);
  return {
    kind: 'granted',
    record: keep(state, claimed(state, record, request)).record,
    request: frozen && copyOf(frozen),
    isResend: record.state.sends > 0,
  };
}

/** Nothing was said of the effect since its intent, and a permit needs no count under a lock. */
function isAsStored(
  { entries, seqs }: MemoryState,
  { tenant, id, seen, callsPerRunMax }: DispatchRequest,
  { seqSeen }: AsStored,
): boolean {
  const entry = entries.get(keyOf(tenant, id));
  if (!seen || !entry || entry.facts.length > 1 || callsPerRunMax !== undefined) return false;
  return (seqs.get(keyOf(tenant, entry.record.rootKey)) ?? 0) >= seqSeen;
}

async function transact(
  { state, tables }: Parts,
  request: Permission,
  work: Parameters<EffectLedger['transact']>[1],
): Promise<TransactAnswer> {
  const record = permit(state, request);
  if ('kind' in record) return record;
  const granted = claimed(state, record, request);
  const open = tables.begin();
  try {
    const { entries, keepsRows } = await work(open, granted.record);
    const answer = keep(state, fold(state, granted, entries));
    if (keepsRows) open.commit();
    return { kind: 'settled', ...answer };
  } catch (error) {
    throw error instanceof LedgerUnavailable ? error : new ToolThrew(error);
  } finally {
    open.close();
  }
}

/** The rows that a database would lock for a transaction on the effect. */
function lockedBy({ entries }: MemoryState, { tenant, id }: Permission): string[] {
  const own = keyOf(tenant, id);
  const record = entries.get(own)?.record;
  if (!record) return [own];
  const control = keyOf(tenant, record.runKey);
  if (record.identityHash === null) return [own, control];
  return [own, control, keyOf(tenant, `${record.tool} ${record.identityHash}`)];
}

function findOverdue(state: MemoryState): EffectRecord[] {
  const nowMs = state.clock.nowMs();
  const overdue = recordsOf(state).filter(
    (record) => record.state.status === 'dispatched' && (record.leaseUntilMs ?? Infinity) < nowMs,
  );
  const turnOf = (record: EffectRecord): number =>
    Math.max(record.leaseUntilMs ?? 0, timeOf(state.lookedAtMs, record));
  return overdue.sort((one, other) => turnOf(one) - turnOf(other));
}

function findToWake(state: MemoryState): ToWake[] {
  const isBehind = (one: EffectRecord, { tenant, tool, identityHash }: EffectRecord): boolean =>
    identityHash !== null &&
    one.identityHash === identityHash &&
    one.state.status === 'intended' &&
    one.tenant === tenant &&
    one.tool === tool;
  return recordsOf(state)
    .filter(({ tenant, id }) => state.wakeDue.has(keyOf(tenant, id)))
    .map((record) => ({
      tenant: record.tenant,
      id: record.id,
      waiters: recordsOf(state)
        .filter((one) => one === record || isBehind(one, record))
        .flatMap(({ shortId: effect, workflowId }) =>
          workflowId === null ? [] : [{ effect, workflowId }],
        ),
    }));
}

function toOpen(state: MemoryState, records: readonly EffectRecord[]): OpenEffect[] {
  const { changedAtMs, lookedAtMs } = state;
  return records.map((record) => ({
    ...record,
    isSuspect: timeOf(lookedAtMs, record) > timeOf(changedAtMs, record),
  }));
}

function timeOf(times: ReadonlyMap<string, number>, { tenant, id }: EffectRecord): number {
  return times.get(keyOf(tenant, id)) ?? 0;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

function findDoubtsToAsk(state: MemoryState): EffectRecord[] {
  const nowMs = state.clock.nowMs();
  const isDue = (record: EffectRecord): boolean => {
    const { changedAtMs, lookedAtMs } = state;
    const askedAtMs = Math.max(timeOf(changedAtMs, record), timeOf(lookedAtMs, record));
    const ageMs = askedAtMs - (record.firstSentAtMs ?? askedAtMs);
    return nowMs - askedAtMs > Math.min(Math.max(ageMs, MINUTE_MS), HOUR_MS);
  };
  return recordsOf(state).filter(
    (record) => record.state.status === 'in_doubt' && record.hasProbe && isDue(record),
  );
}

/** Bytes that nobody can change behind the ledger's back. */
function copyOf({ method, url, headers, body }: FrozenRequest): FrozenRequest {
  const copied = headers.map(([name, value]): [string, string] => [name, value]);
  return { method, url, headers: copied, body: Buffer.from(body) };
}

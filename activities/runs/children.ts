// Sub-agents in the ledger: a run's row for each call that starts one, and each one's end as the result of its call.
import { createHash } from 'node:crypto';
import { childPath } from '../../domain/rules/children.ts';
import { type EffectAddress, effectId } from '../../domain/rules/ids.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { CallEnd, ChildEnd, RunResult } from '../../domain/rules/run.ts';
import { jsonBody } from '../encryption/sealed-body.ts';
import type { Transaction } from '../ledger/database.ts';
import type { StoredResult } from './previous-calls.ts';
import type { RunDeps } from './run-deps.ts';

export interface ChildrenInput {
  readonly v: 1;
  readonly runKey: string;
  readonly address: Omit<EffectAddress, 'call'>;
  readonly calls: readonly string[];
}

export interface OpenedChild {
  readonly runKey: string;
  readonly path: readonly string[];
  readonly isFinished: boolean;
}

export type OpenedChildren =
  | { readonly kind: 'opened'; readonly children: readonly OpenedChild[] }
  | { readonly kind: 'paused' }
  | { readonly kind: 'cancelled' };

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_LETTERS = 10;
const LETTERS = 26;

/**
 * The run key of a sub-agent: a ULID of its parent's time whose other part is the hash of the call's address. A reset of
 * the parent comes to the same key, so it finds the same run.
 */
export function childRunKey(parent: string, address: EffectAddress): string {
  const digest = createHash('sha256')
    .update(JSON.stringify(['child', parent, effectId(address)]))
    .digest();
  const time = parent.slice('run_'.length, 'run_'.length + TIME_LETTERS);
  const letters = [...digest.subarray(0, LETTERS - TIME_LETTERS)].map(
    (byte) => CROCKFORD[byte % 32],
  );
  return `run_${time}${letters.join('')}`;
}

/** Idempotent. While the parent is paused or cancelled none is begun; a pause that comes later reaches them, too. */
export function openChildren(deps: RunDeps, input: ChildrenInput): Promise<OpenedChildren> {
  const { address, runKey } = input;
  return deps.database.transaction(async (tx) => {
    // Shared with begin: who pauses or cancels waits for this, and then finds the children.
    const { rows } = await tx.query<{ paused: boolean; cancelled: boolean }>(
      `select paused_at is not null as paused, cancelled_at is not null as cancelled
       from pawl.controls where tenant = $1 and run_key = $2 for share`,
      [address.tenant, runKey],
    );
    if (rows[0]?.cancelled) return { kind: 'cancelled' };
    if (rows[0]?.paused) return { kind: 'paused' };
    const calls = await readCalls(tx, input);
    for (const call of calls) await insertChild(tx, input, call);
    const { rows: children } = await tx.query<OpenedChild>(
      `select run_key as "runKey", path, finished_at is not null as "isFinished" from pawl.runs
       where tenant = $1 and run_key = any($2)`,
      [address.tenant, calls.map(({ child }) => child)],
    );
    return { kind: 'opened', children };
  });
}

interface ChildCallRow {
  call: string;
  tool: string;
  arguments: Json;
  child: string;
}

async function readCalls(
  tx: Transaction,
  { runKey, address, calls }: ChildrenInput,
): Promise<readonly ChildCallRow[]> {
  const { rows } = await tx.query<ChildCallRow>(
    `select call, tool, arguments, child_run_key as child from pawl.calls
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4 and call = any($5)
       and child_run_key is not null`,
    [address.tenant, runKey, address.turn, address.generation, calls],
  );
  return rows;
}

async function insertChild(
  tx: Transaction,
  { runKey, address }: ChildrenInput,
  { call, tool, child, arguments: input }: ChildCallRow,
): Promise<void> {
  const { tenant, rootKey, turn, generation } = address;
  const path = childPath(address.path, tool, { turn, call, generation });
  await tx.query(
    `insert into pawl.runs (tenant, run_key, root_key, path, agent, workflow_id, requester, input, parent_run_key,
       parent_turn, parent_generation, parent_call)
     select $1, $2, $3, $4, $5, $2, requester, $6, run_key, $8, $9, $10
     from pawl.runs where tenant = $1 and run_key = $7
     on conflict do nothing`,
    [
      tenant,
      child,
      rootKey,
      JSON.stringify(path),
      tool,
      jsonBody({ tenant, runKey: child }, 'runs.input', input),
      runKey,
      turn,
      generation,
      call,
    ],
  );
  await tx.query(
    'insert into pawl.controls (tenant, run_key) values ($1, $2) on conflict do nothing',
    [tenant, child],
  );
}

interface EndedRow {
  call: string;
  result: RunResult;
  output: Json;
}

/** Those of the calls' runs that have ended; their answers become the calls' results. */
export function collectChildren(
  deps: RunDeps,
  input: ChildrenInput,
): Promise<Readonly<Record<string, ChildEnd>>> {
  const { address, runKey, calls } = input;
  return deps.database.transaction(async (tx) => {
    const { rows } = await tx.query<EndedRow>(
      `select c.call, r.run_key, r.result, r.output
       from pawl.calls c join pawl.runs r on r.tenant = c.tenant and r.run_key = c.child_run_key
       where c.tenant = $1 and c.run_key = $2 and c.turn = $3 and c.generation = $4 and c.call = any($5)
         and r.finished_at is not null and r.result is not null`,
      [address.tenant, runKey, address.turn, address.generation, calls],
    );
    for (const row of rows) await storeEnd(tx, input, row);
    return Object.fromEntries(
      rows.map(({ call, result }) => [call, { end: endOf(result), usage: result.usage }]),
    );
  });
}

function endOf({ kind }: RunResult): CallEnd {
  if (kind === 'completed') return 'applied';
  return kind === 'cancelled' ? 'cancelled' : 'failed';
}

async function storeEnd(
  tx: Transaction,
  { address, runKey }: ChildrenInput,
  { call, result, output }: EndedRow,
): Promise<void> {
  const { tenant, turn, generation } = address;
  const told: StoredResult =
    result.kind === 'completed'
      ? { ok: true, output }
      : { ok: false, code: result.kind, message: result.reason ?? 'the sub-agent gave no answer' };
  await tx.query(
    `update pawl.calls set ended = $6, result = $7, ended_at = clock_timestamp()
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4 and call = $5 and ended is null`,
    [
      tenant,
      runKey,
      turn,
      generation,
      call,
      endOf(result),
      jsonBody({ tenant, runKey }, 'calls.result', told),
    ],
  );
}

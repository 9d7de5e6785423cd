// Rows as workers write them, for tests of the client: what the engine would have left behind, without an engine.
import { createHash } from 'node:crypto';
import pg from 'pg';
import { ulid } from 'ulid';
import { effectId } from '../../domain/rules/ids.ts';
import type { Json } from '../../domain/rules/json.ts';
import { migrate } from '../../activities/ledger/migrate.ts';
import { shortId } from '../../activities/effects/fingerprint.ts';
import {
  createTestDatabase,
  dropTestDatabase,
  ensureTemplateDatabase,
} from '../../devstack/test-database.ts';

export const TENANT = 'default';
export const TASK_QUEUE = 'pawl';

/** A migrated database of this test file's own, with a way to write rows. */
export interface ClientDatabase {
  readonly url: string;
  query(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  drop(): Promise<void>;
}

export async function createClientDatabase(): Promise<ClientDatabase> {
  const template = await ensureTemplateDatabase('client_template', async (url) => {
    await migrate(url);
  });
  const database = await createTestDatabase({ template });
  const rows = openRows(database.url);
  return {
    ...rows,
    drop: async () => {
      await rows.close();
      await dropTestDatabase(database);
    },
  };
}

/** Rows of any database. */
export function openRows(url: string): Rows & { readonly url: string; close(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => undefined);
  return {
    url,
    query: async (text, values = []) => {
      const { rows } = await pool.query<Record<string, unknown>>(text, [...values]);
      return rows;
    },
    close: () => pool.end(),
  };
}

export type Rows = Pick<ClientDatabase, 'query'>;

const AGENTS = {
  payouts: {
    hash: 'a1b2c3d4e5f60718293a4b5c6d7e8f90',
    inputSchema: {
      type: 'object',
      properties: { file: { type: 'string' }, dryRun: { type: 'boolean' } },
      required: ['file'],
    },
    model: { primary: 'anthropic/claude-sonnet-4-5', fallbacks: ['openai/gpt-5'] },
    tools: [
      toolOf('read_invoices', 'read', { description: 'Read the invoices of a file.' }),
      toolOf('pay_invoice', 'keyed', {
        description: 'Pay one invoice.',
        keyRetentionMs: 86_400_000,
        hasIdentity: true,
        callsPerRunMax: 20,
      }),
      toolOf('notify', 'once', {
        description: 'Tell the payee.',
        warnings: ['has no identity: the same notice in another turn is sent again'],
      }),
    ],
  },
} as const;

function toolOf(name: string, contract: string, more: Record<string, Json>): Record<string, Json> {
  return {
    name,
    description: '',
    contract,
    keyRetentionMs: null,
    hasProbe: false,
    hasIdentity: false,
    timeoutMs: 30_000,
    sendsMax: contract === 'once' ? 1 : 4,
    parallel: false,
    callsPerRunMax: null,
    warnings: [],
    ...more,
  };
}

/** A worker that offers the agent `payouts`, seen now. */
export async function insertWorker(
  rows: Rows,
  { identity = 'worker-1@host', seen = 'clock_timestamp()' } = {},
): Promise<void> {
  await rows.query(
    `insert into pawl.workers (identity, task_queue, build_id, agents, seen_at)
     values ($1, $2, 'b7f3', $3, ${seen})`,
    [identity, TASK_QUEUE, JSON.stringify(AGENTS)],
  );
}

export interface RunRow {
  readonly runKey?: string;
  readonly agent?: string;
  readonly requester?: string;
  readonly turn?: number;
  readonly agentHash?: string | null;
  readonly result?: Json;
  readonly output?: Json;
  readonly stuckCause?: Json;
  readonly input?: Json;
  readonly isFinished?: boolean;
}

/** A run with its controls; running, unless it is said otherwise. Returns the run key. */
export async function insertRun(rows: Rows, run: RunRow = {}): Promise<string> {
  const runKey = run.runKey ?? `run_${ulid()}`;
  await rows.query(
    `insert into pawl.runs (tenant, run_key, root_key, agent, agent_hash, workflow_id, requester, input, turn,
       input_tokens, output_tokens, cached_input_tokens, cost_micro_usd, output, result, stuck_cause, finished_at)
     values ($1, $2, $2, $3, $4, $2, $5, $6, $7, 12034, 812, 9000, 41230, $8, $9, $10,
       case when $11 then clock_timestamp() end)`,
    [
      TENANT,
      runKey,
      run.agent ?? 'payouts',
      run.agentHash === undefined ? AGENTS.payouts.hash : run.agentHash,
      run.requester ?? 'dev',
      JSON.stringify(run.input ?? { file: 'invoices.csv' }),
      run.turn ?? 1,
      toColumn(run.output),
      toColumn(run.result),
      toColumn(run.stuckCause),
      run.isFinished ?? run.result !== undefined,
    ],
  );
  await rows.query('insert into pawl.controls (tenant, run_key) values ($1, $2)', [TENANT, runKey]);
  return runKey;
}

function toColumn(value: Json | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** How a run ends, as the workflow writes it. */
export function resultOf(kind: string, reason?: string): Json {
  const usage = {
    inputTokens: 12_034,
    outputTokens: 812,
    cachedInputTokens: 9_000,
    costMicroUsd: 41_230,
  };
  return { v: 1, kind, turns: 2, usage, ...(reason === undefined ? {} : { reason }) };
}

export interface EffectRowOptions {
  readonly turn?: number;
  readonly call?: string;
  readonly tool?: string;
  readonly contract?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly sends?: number;
  readonly hasConflict?: boolean;
  /** SQL of when the lease ends. */
  readonly leaseUntil?: string;
  readonly arguments?: Json;
  readonly summary?: string;
  readonly output?: Json;
  readonly workflowId?: string | null;
  readonly identityHash?: string;
  readonly amountMinor?: number;
}

export interface InsertedEffect {
  readonly id: string;
  readonly effect: string;
}

/** An effect in any state, with the call that asked for it. */
export async function insertEffect(
  rows: Rows,
  runKey: string,
  options: EffectRowOptions = {},
): Promise<InsertedEffect> {
  const { turn = 1, call = '0', tool = 'pay_invoice', contract = 'keyed' } = options;
  const address = { tenant: TENANT, rootKey: runKey, path: [], turn, call, generation: 0 };
  const id = effectId(address);
  const effect = shortId('ef', id);
  const summary = options.summary ?? `${tool} INV-7 · EUR 20.00 · ${contract}`;
  const args = JSON.stringify(options.arguments ?? { invoice: 'INV-7', cents: 2000 });
  await rows.query(
    `insert into pawl.effects (tenant, id, short_id, run_key, root_key, turn, call, generation, workflow_id, tool,
       contract, wire_key, key_retention_ms, has_probe, sends_max, fingerprint, arguments, summary, amount_minor,
       currency, identity_hash, status, sends, has_conflict, reason, output, lease_until, updated_at, claimed_by,
       first_sent_at)
     values ($1, $2, $3, $4, $4, $5, $6, 0, $7, $8, $9, $10, $11, false, 4, $12, $13, $14, $15, 'EUR', $16, $17, $18,
       $19, $20, $21, ${options.leaseUntil ?? 'null'},
       least(clock_timestamp(), ${options.leaseUntil ?? 'null'}), 'worker-1@host', case when $18 > 0 then clock_timestamp() end)`,
    [
      TENANT,
      id,
      effect,
      runKey,
      turn,
      call,
      options.workflowId === undefined ? runKey : options.workflowId,
      tool,
      contract,
      '0d9f7a51-7c1e-8a44-9b1f-2c3d4e5f6071',
      contract === 'keyed' ? 86_400_000 : null,
      createHash('sha256').update(args).digest('hex'),
      args,
      summary,
      options.amountMinor ?? 2_000,
      options.identityHash ?? null,
      options.status ?? 'intended',
      options.sends ?? 0,
      options.hasConflict ?? false,
      options.reason ?? null,
      toColumn(options.output),
    ],
  );
  await insertCall(rows, runKey, {
    turn,
    call,
    tool,
    args,
    summary,
    id,
    ended: toEnd(options.status),
  });
  return { id, effect };
}

function toEnd(status: string | undefined): string | null {
  return status === 'applied' || status === 'refused' ? status : null;
}

interface CallRow {
  readonly turn: number;
  readonly call: string;
  readonly tool: string;
  readonly args: string;
  readonly summary: string;
  readonly id: string;
  readonly ended: string | null;
}

async function insertCall(rows: Rows, runKey: string, row: CallRow): Promise<void> {
  await rows.query(
    `insert into pawl.calls (tenant, run_key, turn, generation, call, tool, provider_call_id, arguments, verdict, rule,
       policy_hash, message, summary, effect_id, ended, ended_at)
     values ($1, $2, $3, 0, $4, $5, $6, $7, 'approve', 'over-limit', $8, 'more than EUR 10.00', $9, $10, $11,
       case when $11::text is not null then clock_timestamp() end)`,
    [
      TENANT,
      runKey,
      row.turn,
      row.call,
      row.tool,
      `toolu_${row.turn}_${row.call}`,
      row.args,
      'f00dfeedf00dfeedf00dfeedf00dfeed',
      row.summary,
      row.id,
      row.ended,
    ],
  );
}

export interface ApprovalRowOptions {
  readonly requester?: string;
  /** SQL of when it expires. */
  readonly expiresAt?: string;
  readonly requirement?: string;
  readonly nonce?: string;
}

/** An approval that asks for this effect; returns its id. */
export async function insertApproval(
  rows: Rows,
  runKey: string,
  effect: InsertedEffect,
  options: ApprovalRowOptions = {},
): Promise<string> {
  const nonce = options.nonce ?? ulid();
  const id = shortId('ap', `${effect.id}${nonce}`);
  await rows.query(
    `insert into pawl.approvals (tenant, id, run_key, workflow_id, turn, call, effect_id, agent, tool, tool_pin,
       fingerprint, arguments, summary, amount_minor, currency, rule, requirement, policy_hash, requester, nonce,
       expires_at)
     select e.tenant, $2, e.run_key, e.run_key, e.turn, e.call, e.id, 'payouts', e.tool, 'pin-1', e.fingerprint,
       e.arguments, e.summary, e.amount_minor, e.currency, 'over-limit', $3, $4, $5, $6,
       ${options.expiresAt ?? "clock_timestamp() + interval '24 hours'"}
     from pawl.effects e where e.tenant = $1 and e.id = $7`,
    [
      TENANT,
      id,
      options.requirement ?? 'finance',
      'f00dfeedf00dfeedf00dfeedf00dfeed',
      options.requester ?? 'dev',
      nonce,
      effect.id,
    ],
  );
  await rows.query('update pawl.calls set approval_id = $1 where run_key = $2 and effect_id = $3', [
    id,
    runKey,
    effect.id,
  ]);
  return id;
}

/** Facts in order, as the engine appends them. */
export async function insertFacts(
  rows: Rows,
  effect: InsertedEffect,
  facts: readonly (readonly [kind: string, source: string, data: Json])[],
): Promise<void> {
  for (const [index, [kind, source, data]] of facts.entries()) {
    await rows.query(
      `insert into pawl.effect_facts (tenant, effect_id, ordinal, kind, source, attempt, fence, data)
       values ($1, $2, $3, $4, $5, 1, 1, $6)`,
      [TENANT, effect.id, index + 1, kind, source, JSON.stringify(data)],
    );
  }
}

/** The frozen request of an effect. */
export async function insertRequest(rows: Rows, effect: InsertedEffect): Promise<void> {
  await rows.query(
    `insert into pawl.effect_requests (tenant, effect_id, method, url, headers, body)
     values ($1, $2, 'POST', 'https://bank.example/payments', $3, $4)`,
    [
      TENANT,
      effect.id,
      JSON.stringify([
        ['content-type', 'application/json'],
        ['idempotency-key', '0d9f7a51-7c1e-8a44-9b1f-2c3d4e5f6071'],
        ['authorization', 'Bearer very-secret'],
      ]),
      Buffer.from('{"invoice":"INV-7","cents":2000}'),
    ],
  );
}

/** A model step with the assistant's message. */
export async function insertTurn(
  rows: Rows,
  runKey: string,
  turn: number,
  text: string,
): Promise<void> {
  await rows.query(
    `insert into pawl.model_steps (tenant, run_key, turn, generation, result, model_requested, model_served,
       stop_reason, input_tokens, output_tokens, cached_input_tokens, cost_micro_usd, is_priced, request_id, attempt,
       duration_ms)
     values ($1, $2, $3, 0, '{}', 'anthropic/claude-sonnet-4-5', 'claude-sonnet-4-5-20250929', 'tool-calls', 6017, 406,
       4500, 20615, true, 'req_011', 1, 2140)`,
    [TENANT, runKey, turn],
  );
  const parts = [
    { kind: 'text', text },
    {
      kind: 'tool-call',
      id: `toolu_${turn}_0`,
      name: 'pay_invoice',
      arguments: { invoice: 'INV-7' },
    },
  ];
  const seq = turn * 2;
  await rows.query(
    `insert into pawl.transcript (tenant, run_key, seq, turn, parent_hash, commitment, hash, role, source)
     values ($1, $2, $3, $4, 'p', 'c', 'h', 'assistant', 'model')`,
    [TENANT, runKey, seq, turn],
  );
  await rows.query(
    `insert into pawl.transcript_bodies (tenant, run_key, seq, salt, parts) values ($1, $2, $3, '\\x00', $4)`,
    [TENANT, runKey, seq, JSON.stringify(parts)],
  );
}

// `audit verify`, rows: recomputes the seal of every row that tells of an effect, and what rows say of each other.
import { createHash } from 'node:crypto';
import { AUTHORITY_CHECKS } from './audit-authority.ts';
import type { ClientContext } from './context.ts';

/** What of one row is sealed, as SQL on a row `t` of a run `$2` of a tenant `$1`. */
interface SealedTable {
  readonly name: string;
  readonly where: string;
  readonly orderBy: string;
  /** How a finding names the row. */
  readonly label: string;
  readonly clear: string;
  /** Null where the row has none. @default it never has */
  readonly bodies?: string;
  /** Of the row before in the same chain, its number; each row is sealed over it. @default there is no chain */
  readonly chain?: { readonly id: string; readonly ordinal: string };
}

const EFFECT_OF_RUN =
  't.tenant = $1 and t.effect_id in (select id from pawl.effects where tenant = $1 and run_key = $2)';
const OF_RUN = 't.tenant = $1 and t.run_key = $2';
const at = (column: string): string => `extract(epoch from t.${column})`;
const columns = (names: string, ...more: readonly string[]): string =>
  `jsonb_build_array(${[...names.split(' ').map((name) => `t.${name}`), ...more].join(', ')})`;
const effectLabel =
  '(select e.short_id from pawl.effects e where e.tenant = t.tenant and e.id = t.effect_id)';
const stepLabel = "'turn ' || t.turn";

/** Written down a second time on purpose: a verifier that shares the writer's code shares its mistakes. */
const SEALED: readonly SealedTable[] = [
  {
    name: 'effects',
    where: OF_RUN,
    orderBy: 't.id',
    label: 't.short_id',
    clear: columns(
      'tenant id short_id run_key root_key turn call generation workflow_id tool contract wire_key key_retention_ms ' +
        'has_probe sends_max amount_minor currency identity_hash approval_id compensates',
      at('created_at'),
    ),
    bodies: columns('fingerprint arguments summary'),
  },
  {
    name: 'effect_facts',
    where: EFFECT_OF_RUN,
    orderBy: 't.effect_id, t.ordinal',
    label: `${effectLabel} || ' fact ' || t.ordinal`,
    clear: columns(
      'tenant effect_id ordinal kind source attempt fence',
      at('at'),
      "t.data - array['output', 'reason', 'message', 'evidence']",
    ),
    bodies: `case when t.data ?| array['output', 'reason', 'message', 'evidence'] then
      jsonb_build_array(t.data->'output', t.data->'reason', t.data->'message', t.data->'evidence') end`,
    chain: { id: 't.effect_id', ordinal: 't.ordinal' },
  },
  {
    name: 'effect_requests',
    where: EFFECT_OF_RUN,
    orderBy: 't.effect_id',
    label: `${effectLabel} || ' request'`,
    clear: columns('tenant effect_id method', at('created_at')),
    bodies: columns('url headers', "encode(sha256(t.body), 'hex')"),
  },
  {
    name: 'calls',
    where: OF_RUN,
    orderBy: 't.turn, t.generation, t.call',
    label: `${stepLabel} || ' call ' || t.call`,
    clear: columns(
      'tenant run_key turn generation call tool provider_call_id verdict rule policy_hash effect_id approval_id ' +
        'child_run_key',
    ),
  },
  {
    name: 'model_steps',
    where: OF_RUN,
    orderBy: 't.turn, t.generation',
    label: stepLabel,
    clear: columns(
      'tenant run_key turn generation model_requested model_served stop_reason input_tokens output_tokens ' +
        'cached_input_tokens cost_micro_usd is_priced request_id attempt duration_ms',
      at('created_at'),
    ),
  },
  {
    name: 'approvals',
    where: OF_RUN,
    orderBy: 't.id',
    label: 't.id',
    clear: columns(
      'tenant id run_key workflow_id turn call effect_id agent tool tool_pin amount_minor currency rule requirement ' +
        'policy_hash requester',
      at('created_at'),
      at('expires_at'),
    ),
    bodies: columns('fingerprint arguments summary nonce'),
  },
  {
    name: 'decisions',
    where:
      't.tenant = $1 and t.approval_id in (select id from pawl.approvals where tenant = $1 and run_key = $2)',
    orderBy: 't.approval_id',
    label: "t.approval_id || ' decision'",
    clear: columns('tenant approval_id id decision approver binding', at('decided_at')),
    bodies: 'case when t.reason is not null then jsonb_build_array(t.reason) end',
  },
  {
    name: 'settlements',
    where: EFFECT_OF_RUN,
    orderBy: 't.effect_id, t.id',
    label: `${effectLabel} || ' settlement'`,
    clear: columns('tenant effect_id id outcome settled_by', at('settled_at')),
    bodies: columns('output evidence'),
  },
  {
    name: 'callbacks',
    where: `t.tenant = $1 and exists (select 1 from pawl.effects e where e.tenant = $1 and e.run_key = $2 and e.tool = t.tool
      and (t.wire_key = e.wire_key or t.wire_key is null and t.reference = e.receiver_reference))`,
    orderBy: 't.tool, t.id',
    label: "t.tool || ' callback ' || t.id",
    clear: columns('tenant tool id wire_key reference outcome code', at('received_at')),
    bodies: `case when t.output is not null or t.message is not null then
      jsonb_build_array(t.output, t.message) end`,
  },
];

interface SealedRow {
  readonly label: string;
  readonly seal: Buffer | null;
  readonly clear: string;
  readonly bodies: string | null;
  readonly chain: string | null;
  readonly ordinal: number | null;
}

/** Told of each finding. */
export type Report = (where: string, what: string) => void;

export interface SealedRun {
  readonly runKey: string;
  readonly isErased: boolean;
}

const PAGE = 200;

/** Returns how many rows were compared. `context` has to be of one snapshot: rows are read in pages. */
export async function verifySeals(
  context: ClientContext,
  run: SealedRun,
  report: Report,
): Promise<number> {
  let rows = 0;
  for (const table of SEALED) rows += await verifyTable(context, table, run, report);
  return rows;
}

async function verifyTable(
  { database, tenant }: ClientContext,
  table: SealedTable,
  { runKey, isErased }: SealedRun,
  report: Report,
): Promise<number> {
  const { chain } = table;
  let before: SealedRow | undefined;
  for (let offset = 0; ; offset += PAGE) {
    const rows = await database.query<SealedRow>(
      `select ${table.label} as label, t.seal, ${table.clear}::text as clear,
         (${table.bodies ?? 'null::jsonb'})::text as bodies,
         ${chain?.id ?? 'null'} as chain, ${chain?.ordinal ?? 'null::integer'} as ordinal
       from pawl.${table.name} t where ${table.where} order by ${table.orderBy} limit ${PAGE} offset ${offset}`,
      [tenant, runKey],
    );
    for (const row of rows) {
      const isNext = before !== undefined && before.chain === row.chain && row.chain !== null;
      const what = judgeRow(table.name, row, isNext ? before?.seal : null, isErased);
      if (what !== undefined) report(row.label, what);
      before = row;
    }
    if (rows.length < PAGE) return offset + rows.length;
  }
}

const HASH_BYTES = 32;

/** Undefined for a row that is as it was written. */
function judgeRow(
  table: string,
  { seal, clear, bodies }: SealedRow,
  previous: Buffer | null | undefined,
  isErased: boolean,
): string | undefined {
  if (!seal) return `its row in pawl.${table} has no seal`;
  const hash = seal.subarray(0, HASH_BYTES);
  const commitment = seal.subarray(HASH_BYTES, 2 * HASH_BYTES);
  const salt = seal.subarray(2 * HASH_BYTES);
  const before = previous ? `"${hexOf(previous.subarray(0, HASH_BYTES))}"` : 'null';
  const sealed = `["${table}", ${before}, "${hexOf(commitment)}", ${clear}]`;
  if (!sha256(sealed).equals(hash))
    return `its row in pawl.${table} is not the one that was written`;
  if (commitment.length === 0) {
    return bodies === null
      ? undefined
      : `its row in pawl.${table} has a body that it was written without`;
  }
  if (salt.length === 0) {
    return isErased ? undefined : `its body in pawl.${table} is gone, and the run was not erased`;
  }
  const committed = sha256(salt, bodies ?? '');
  return committed.equals(commitment)
    ? undefined
    : `its body in pawl.${table} is not the one that was committed to`;
}

function sha256(...parts: readonly (string | Buffer)[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function hexOf(bytes: Buffer): string {
  return bytes.toString('hex');
}

/** Rows that name a row which is not there, and counts that rows do not add up to. */
const CROSS_CHECKS: readonly string[] = [
  `select 'run' as label, 'its row is missing' as what
   where exists (select 1 from pawl.transcript where tenant = $1 and run_key = $2)
     and not exists (select 1 from pawl.runs where tenant = $1 and run_key = $2)`,
  `select e.short_id as label, 'the settlement that a fact names is missing' as what
   from pawl.effects e join pawl.effect_facts f on f.tenant = e.tenant and f.effect_id = e.id
   where e.tenant = $1 and e.run_key = $2 and f.data ? 'settlement' and not exists (
     select 1 from pawl.settlements s
     where s.tenant = f.tenant and s.effect_id = f.effect_id and s.id = f.data->>'settlement')`,
  `select e.short_id, 'the callback that a fact names is missing'
   from pawl.effects e join pawl.effect_facts f on f.tenant = e.tenant and f.effect_id = e.id
   where e.tenant = $1 and e.run_key = $2 and f.data ? 'callback' and not exists (
     select 1 from pawl.callbacks c
     where c.tenant = f.tenant and c.tool = e.tool and c.id = f.data->>'callback')`,
  `select 'turn ' || c.turn, 'the effect of its call ' || c.call || ' is missing'
   from pawl.calls c where c.tenant = $1 and c.run_key = $2 and c.effect_id is not null
     and not exists (select 1 from pawl.effects e where e.tenant = c.tenant and e.id = c.effect_id)`,
  `select 'turn ' || c.turn, 'the approval of its call ' || c.call || ' is missing'
   from pawl.calls c where c.tenant = $1 and c.run_key = $2 and c.approval_id is not null
     and not exists (select 1 from pawl.approvals a where a.tenant = c.tenant and a.id = c.approval_id)`,
  `select a.id, 'its decision is missing, or another one'
   from pawl.approvals a left join pawl.decisions d on d.tenant = a.tenant and d.approval_id = a.id
   where a.tenant = $1 and a.run_key = $2
     and a.decision_seal is distinct from substring(d.seal from 1 for ${HASH_BYTES})`,
  `select e.short_id, 'the call that asked for it is missing'
   from pawl.effects e join pawl.runs r on r.tenant = e.tenant and r.run_key = e.run_key
   where e.tenant = $1 and e.run_key = $2 and e.compensates is null and not exists (
     select 1 from pawl.calls c where c.tenant = e.tenant and c.effect_id = e.id)`,
  `select 'transcript ' || t.seq, 'the model step of turn ' || t.turn || ' is missing'
   from pawl.transcript t join pawl.runs r on r.tenant = t.tenant and r.run_key = t.run_key
   where t.tenant = $1 and t.run_key = $2 and t.role = 'assistant'
     and t.turn >= coalesce((r.forked_from->>'turn')::integer, 0) and not exists (
       select 1 from pawl.model_steps s
       where s.tenant = t.tenant and s.run_key = t.run_key and s.turn = t.turn)`,
  // Each effect raises it once, when its outcome becomes definite, which it stays.
  `select 'run', 'its ' || c.what || ' is ' || c.held || ', and its steps add up to ' || c.spent
   from pawl.runs r
   cross join lateral (
     select coalesce(sum(s.cost_micro_usd), 0) as cost, coalesce(sum(s.input_tokens), 0) as input,
       coalesce(sum(s.cached_input_tokens), 0) as cached, coalesce(sum(s.output_tokens), 0) as output
     from (
       select cost_micro_usd, input_tokens, cached_input_tokens, output_tokens from pawl.model_steps
       where tenant = $1 and run_key = $2
       union all
       select cost_micro_usd, input_tokens, cached_input_tokens, output_tokens from pawl.compactions
       where tenant = $1 and run_key = $2
       union all
       select cost_micro_usd, input_tokens, cached_input_tokens, output_tokens from pawl.model_answers
       where tenant = $1 and run_key = $2) s) n
   cross join lateral (values ('cost', r.cost_micro_usd, n.cost), ('number of input tokens', r.input_tokens, n.input),
     ('number of cached tokens', r.cached_input_tokens, n.cached),
     ('number of output tokens', r.output_tokens, n.output)) c(what, held, spent)
   where r.tenant = $1 and r.run_key = $2 and c.held <> c.spent`,
  `with recursive tree as (
     select $2::text as run_key
     union
     select r.run_key from pawl.runs r join tree t on r.tenant = $1 and r.parent_run_key = t.run_key)
   select 'ledger', 'its sequence is ' || coalesce(s.seq, 0) || ', and ' || n.settled || ' effects are settled'
   from (
     select count(*) as settled from pawl.effects e
     where e.tenant = $1 and e.run_key in (select run_key from tree) and e.root_key = $2
       and e.status in ('applied', 'refused')) n
   left join pawl.run_seqs s on s.tenant = $1 and s.root_key = $2
   where coalesce(s.seq, 0) <> n.settled`,
];

/** What rows of a run say of each other. */
export async function verifyReferences(
  { database, tenant }: ClientContext,
  { runKey }: SealedRun,
  report: Report,
): Promise<void> {
  const found = await database.query<{ label: string; what: string }>(
    [...CROSS_CHECKS, ...AUTHORITY_CHECKS].map((check) => `(${check})`).join('\nunion all\n'),
    [tenant, runKey],
  );
  for (const { label, what } of found) report(label, what);
}

interface OutputRow {
  readonly label: string;
  readonly output: unknown;
  readonly told: unknown;
}

/** The output in an effect's row is a copy of its first applied fact's. */
export async function verifyOutputs(
  { database, tenant }: ClientContext,
  { runKey }: SealedRun,
  report: Report,
): Promise<void> {
  for (let offset = 0; ; offset += PAGE) {
    const rows = await database.query<OutputRow>(
      `select e.short_id as label, e.output, f.told from pawl.effects e
       cross join lateral (
         select data->'output' as told from pawl.effect_facts
         where tenant = e.tenant and effect_id = e.id and kind = 'applied' order by ordinal limit 1) f
       where e.tenant = $1 and e.run_key = $2 order by e.id limit ${PAGE} offset ${offset}`,
      [tenant, runKey],
    );
    for (const { label, output, told } of rows) {
      if (JSON.stringify(output ?? null) === JSON.stringify(told ?? null)) continue;
      report(label, 'its output is not that of its fact');
    }
    if (rows.length < PAGE) return;
  }
}

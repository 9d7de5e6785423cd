// Lists over a hundred thousand rows: by their plans, page by page, none cut in silence; times are printed, not judged.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { listApprovals } from '../../client/approval-views.ts';
import type { ClientContext } from '../../client/context.ts';
import { type Database, openDatabase } from '../../client/database.ts';
import { listEffects } from '../../client/effect-views.ts';
import { explainEffect } from '../../client/explain-effect.ts';
import { diagnose } from '../../client/health.ts';
import { PawlClient } from '../../client/pawl-client.ts';
import { listRuns } from '../../client/run-list.ts';
import { findRun, RunStatus, showRun } from '../../client/run-views.ts';
import { listStuckRuns } from '../../client/stuck-runs.ts';
import { createTemporal } from '../../client/temporal.ts';
import { runCli } from '../../client/cli/program.ts';
import { guarantee } from '../guarantee.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  TASK_QUEUE,
  TENANT,
} from './client-fixtures.ts';

const TEST_MS = 120_000;
const RUNS = 100_000;
/** Calls of one run that all wait for an approval. */
const BUSY = 10_000;
const DOUBTS = 1_500;
/** Sent, past their leases, and looked after by nobody. */
const UNATTENDED = 500;
const LISTED = DOUBTS + UNATTENDED;
const STUCK = 1_200;
const BUSY_RUN = 'run_busy00000000000000000000000';
/** Tables that may not be read from end to end. */
const LARGE = ['runs', 'effects', 'approvals', 'decisions', 'controls', 'effect_facts'];

let database: ClientDatabase;
let asked: { text: string; values: readonly unknown[] }[] = [];
let context: ClientContext;

/** By sets: a row at a time would take minutes. */
const SEED = `
  set session_replication_role = replica;
  insert into pawl.runs (tenant, run_key, root_key, agent, agent_hash, workflow_id, requester, input, turn, result,
    stuck_cause, created_at, finished_at)
  select 'default', key, key, 'payouts', 'h', key, 'dev', '{}', 1,
    case when i > 3000 then '{"kind":"completed","turns":1}'::jsonb end,
    case when i <= ${STUCK} then jsonb_build_object('type', 'Model.Rejected', 'message', 'm', 'at', now()) end,
    now() - i * interval '1 second', case when i > 3000 then now() end
  from (select i, 'run_' || lpad(i::text, 26, '0') as key from generate_series(1, ${RUNS}) i) s;
  insert into pawl.controls (tenant, run_key) select tenant, run_key from pawl.runs;
  insert into pawl.effects (tenant, id, short_id, run_key, root_key, turn, call, generation, workflow_id, tool, contract,
    wire_key, has_probe, sends_max, fingerprint, arguments, summary, status, sends, created_at, updated_at, lease_until)
  select 'default', 'e' || lpad(i::text, 8, '0'), 'ef_' || lpad(i::text, 12, '0'), key, key, 1, '0', 0, key, 'pay', 'once', 'k' || i, false,
    1, 'f', '{}', 'pay', case when i <= ${DOUBTS} then 'in_doubt' when i <= ${LISTED} then 'dispatched' else 'applied' end, 1,
    now() - i * interval '1 second', now() - interval '5 minutes', now() - interval '5 minutes'
  from (select i, 'run_' || lpad(i::text, 26, '0') as key from generate_series(1, ${RUNS}) i) s;
  insert into pawl.approvals (tenant, id, run_key, workflow_id, turn, call, effect_id, agent, tool, tool_pin, fingerprint,
    arguments, summary, rule, requirement, policy_hash, requester, nonce, created_at, expires_at)
  select tenant, 'ap_' || substr(id, 2), run_key, run_key, 1, '0', id, 'payouts', tool, 'p', 'f', '{}', 'pay', 'rule', '',
    'p', 'dev', 'n', created_at, now() + interval '1 day'
  from pawl.effects;
  insert into pawl.decisions (tenant, approval_id, id, decision, approver, binding)
  select tenant, id, 'd' || id, 'approve', 'ann', 'b' from pawl.approvals;
  insert into pawl.effect_facts (tenant, effect_id, ordinal, kind, source)
  select tenant, id, 1, 'intended', 'engine' from pawl.effects;
  insert into pawl.runs (tenant, run_key, root_key, agent, agent_hash, workflow_id, requester, input, turn)
  values ('default', '${BUSY_RUN}', '${BUSY_RUN}', 'payouts', 'h', '${BUSY_RUN}', 'dev', '{}', 1);
  insert into pawl.controls (tenant, run_key) values ('default', '${BUSY_RUN}');
  insert into pawl.effects (tenant, id, short_id, run_key, root_key, turn, call, generation, workflow_id, tool, contract,
    wire_key, has_probe, sends_max, fingerprint, arguments, summary, status)
  select 'default', 'b' || lpad(i::text, 6, '0'), 'ef_b' || lpad(i::text, 11, '0'), key, key, 1, i::text, 0, key, 'pay', 'once', 'kb' || i,
    false, 1, 'f', '{}', 'pay', 'intended'
  from (select i, '${BUSY_RUN}' as key from generate_series(0, ${BUSY - 1}) i) s;
  insert into pawl.approvals (tenant, id, run_key, workflow_id, turn, call, effect_id, agent, tool, tool_pin, fingerprint,
    arguments, summary, rule, requirement, policy_hash, requester, nonce, expires_at)
  select tenant, 'ap_' || id, run_key, run_key, 1, call, id, 'payouts', tool, 'p', 'f', '{}', 'pay', 'rule', '', 'p',
    'dev', 'n', now() + interval '1 day'
  from pawl.effects where status = 'intended';
  insert into pawl.calls (tenant, run_key, turn, generation, call, tool, provider_call_id, arguments, verdict, rule,
    policy_hash, summary, effect_id, approval_id)
  select tenant, run_key, 1, 0, call, tool, call, '{}', 'approve', 'rule', 'p', 'pay', id, 'ap_' || id
  from pawl.effects where status = 'intended';
  set session_replication_role = origin;
  analyze pawl.runs, pawl.effects, pawl.approvals, pawl.decisions, pawl.calls, pawl.controls, pawl.effect_facts`;

beforeAll(async () => {
  database = await createClientDatabase();
  const startedAtMs = performance.now();
  await database.query(SEED);
  process.stderr.write(
    `large lists: seeded in ${Math.round(performance.now() - startedAtMs)} ms\n`,
  );
  context = {
    database: recorded(openDatabase(database.url)),
    temporal: createTemporal('127.0.0.1:1', 'default'),
    ...{ tenant: TENANT, taskQueue: TASK_QUEUE, requester: 'dev' },
  };
}, TEST_MS);
afterAll(async () => {
  await context.database.close();
  await database.drop();
});

function recorded(real: Database): Database {
  return {
    ...real,
    query: (text, values = []) => {
      asked.push({ text, values });
      return real.query(text, values);
    },
  };
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
}

/** Large tables that the statements of `work` read from end to end. */
async function scansOf(label: string, work: () => Promise<unknown>): Promise<readonly string[]> {
  asked = [];
  const startedAtMs = performance.now();
  await work();
  const tookMs = Math.round(performance.now() - startedAtMs);
  const found: string[] = [];
  const look = (plan: Plan): void => {
    const table = plan['Relation Name'] ?? '';
    if (/Seq Scan/.test(plan['Node Type']) && LARGE.includes(table)) found.push(table);
    plan.Plans?.forEach(look);
  };
  for (const { text, values } of asked) {
    const [row] = await database.query(`explain (format json) ${text}`, values);
    for (const { Plan } of row?.['QUERY PLAN'] as { Plan: Plan }[]) look(Plan);
  }
  process.stderr.write(`large lists: ${label} ${tookMs} ms, ${asked.length} statements\n`);
  return found;
}

const DONE_EFFECT = 'ef_000000050000';
const UNSURE = 'ef_000000001800';

const LISTS: [label: string, work: () => Promise<unknown>][] = [
  ['list', () => listRuns(context)],
  ...Object.values(RunStatus).map((status): [string, () => Promise<unknown>] => [
    `list --status ${status}`,
    () => listRuns(context, { status }),
  ]),
  ['list --status completed', () => listRuns(context, { status: 'completed' })],
  ['list --after', () => listRuns(context, { after: 'run_00000000000000000000050000' })],
  ['approvals', () => listApprovals(context, { isPending: true, limit: 51 })],
  [
    'approvals --after',
    () => listApprovals(context, { isPending: true, after: 'ap_b005000', limit: 51 }),
  ],
  [
    'approvals --run',
    () => listApprovals(context, { runKey: BUSY_RUN, isPending: true, limit: 51 }),
  ],
  ['effects', () => listEffects(context, { limit: 51 })],
  ['effects --after', () => listEffects(context, { limit: 51, after: DONE_EFFECT })],
  ['effects --run', () => listEffects(context, { limit: 51, runKey: BUSY_RUN })],
  ['doubts', () => listEffects(context, { isDoubt: true, limit: 101 })],
  ['doubts --after', () => listEffects(context, { isDoubt: true, limit: 101, after: UNSURE })],
  ['stuck', () => listStuckRuns(context, { limit: 101 })],
  ['on the wire', () => listEffects(context, { runKey: BUSY_RUN, isOnWire: true })],
  ['a run', () => findRun(context, BUSY_RUN)],
  ['show', () => showRun(context, BUSY_RUN)],
  ['why', () => explainEffect(context, DONE_EFFECT)],
  ['why, of many', () => explainEffect(context, 'ef_b00000005000')],
  ['doctor', () => diagnose(context)],
];

describe(`${RUNS} runs, effects and approvals, and a run with ${BUSY} approvals`, () => {
  guarantee.each('lists-are-bounded', LISTS)(
    '%s → no large table is read from end to end',
    async (label, work) => {
      expect(await scansOf(label, work)).toEqual([]);
    },
  );

  it('every page of doubts, by key → each once, the oldest first', async () => {
    const client = await PawlClient.connect({ databaseUrl: database.url });
    const seen: string[] = [];
    for await (const { effect } of client.each('doubts')) seen.push(effect);
    expect(seen).toHaveLength(LISTED);
    expect(new Set(seen).size).toBe(LISTED);
    expect(seen[0]).toBe(`ef_${String(LISTED).padStart(12, '0')}`);
    const stuck: string[] = [];
    for await (const { runKey } of client.each('stuckRuns')) stuck.push(runKey);
    expect(new Set(stuck).size).toBe(STUCK);
    await client.close();
  });

  guarantee(
    'lists-are-bounded',
    'a page that is not all says so, and how to go on; --all is all',
    async () => {
      const pawl = async (...words: string[]): Promise<{ out: string; err: string }> => {
        const io = createFakeIo();
        expect(await runCli([...words, '--database-url', database.url], io)).toBe(0);
        return { out: io.stdout(), err: io.stderr() };
      };
      const first = await pawl('doubts', '--json');
      expect(JSON.parse(first.out)).toHaveLength(200);
      expect(first.err).toMatch(/100 of more doubts\. Next: pawl doubts --after ef_0+1901 /);
      expect(first.err).toMatch(/100 of more stuck runs\. Next: pawl doubts --after run_/);
      const all = await pawl('doubts', '--json', '--all');
      expect(JSON.parse(all.out)).toHaveLength(LISTED + STUCK);
      expect(all.err).toBe('');
      const listed = await pawl('list', '--limit', '3');
      expect(listed.out).toMatch(
        /3 of more runs\. Next: pawl list --after run_\w+ {3}all: pawl list --all\n$/,
      );
      const exact = await pawl('list', '--status', 'waiting_approval');
      expect(exact.out).not.toContain('of more');
      const few = await pawl(
        'approvals',
        '--run',
        BUSY_RUN,
        '--limit',
        '2',
        '--after',
        'ap_b009997',
      );
      expect(few.out).not.toContain('of more');
    },
  );
});

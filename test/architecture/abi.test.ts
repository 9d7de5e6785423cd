// The ABI, as literals: what stands in histories, databases and users' code, and so may never be renamed.
// A red pin means: decide, then change pin and CHANGELOG in one commit.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { NEWEST_MIGRATION } from '../../client/health.ts';
import { CrashPoint } from '../../activities/effects/crash-points.ts';
import { createActivities, type PawlActivities } from '../../activities/index.ts';
import type { RunDeps } from '../../activities/runs/run-deps.ts';
import { Contract } from '../../domain/rules/contract.ts';
import type { EffectOutcome, ToolActivityInput } from '../../domain/rules/effect-outcome.ts';
import { EffectStatus, type FactKind, type FactSource } from '../../domain/rules/effect.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import {
  CallEnd,
  CallStatus,
  RunEnd,
  type RunResult,
  type RunState,
  type Step,
} from '../../domain/rules/run.ts';
import * as workflows from '../../workflows/index.ts';
import * as messages from '../../workflows/messages.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);
const migrations = path.join(import.meta.dirname, '../../activities/ledger/migrations');

/** The keys of a record that the compiler holds to be exactly the members of a union. */
const members = <Union extends string>(record: Record<Union, true>): string[] =>
  Object.keys(record);

// Compiled, not run: each of these crosses a Temporal boundary, and its version is 1.
type Envelope<T extends { readonly v: 1 }> = T['v'];
export type Envelopes = [
  Envelope<messages.AgentRunInput>,
  Envelope<messages.DecidedMessage>,
  Envelope<messages.SettledMessage>,
  Envelope<messages.ControlMessage>,
  Envelope<messages.SteeredMessage>,
  Envelope<messages.ChildEndedMessage>,
  Envelope<messages.RunStatusView>,
  Envelope<workflows.AgentRunResult>,
  Envelope<RunState>,
  Envelope<RunResult>,
  Envelope<ToolActivityInput>,
  Envelope<Parameters<PawlActivities['pawl.open']>[0]>,
  Envelope<Parameters<PawlActivities['pawl.model']>[0]>,
  Envelope<Parameters<PawlActivities['pawl.compact']>[0]>,
  Envelope<Parameters<PawlActivities['pawl.openChildren']>[0]>,
  Envelope<Parameters<PawlActivities['pawl.collectChildren']>[0]>,
  Envelope<Parameters<PawlActivities['pawl.close']>[0]>,
  Envelope<Parameters<PawlActivities['pawl.park']>[0]>,
  Envelope<Parameters<PawlActivities['pawl.writeBack']>[0]>,
];

describe('names in histories; red means: decide, then change pin and CHANGELOG in one commit', () => {
  it('failure types', () => {
    expect(Object.values(FailureType)).toEqual(
      words(`
        Model.RateLimited Model.Overloaded Model.Unavailable Model.Authentication
        Model.QuotaExhausted Model.RequestInvalid Model.ContextOverflow Model.AnswerInvalid
        Model.NotConfigured Tool.Failed Tool.Unavailable Tool.InputInvalid Code.Invalid
        Effect.Ambiguous Effect.Refused Effect.Blocked
        Effect.ArgumentsDiffer Effect.NotSent Ledger.Unavailable
        Ledger.RolledBack Authority.Refused Run.Cancelled Agent.Unknown
        Policy.Unavailable Worker.Died Worker.Stopped Step.Failed
      `),
    );
  });

  it('workflow types', () => {
    expect(messages.WorkflowType).toEqual({
      AgentRun: 'agentRun',
      Reconciler: 'pawlReconciler',
      Compensate: 'pawlCompensate',
    });
    expect(Object.keys(workflows)).toEqual(
      expect.arrayContaining(Object.values(messages.WorkflowType)),
    );
  });

  it('signals and queries', () => {
    const named = Object.entries(messages).flatMap(([key, value]) =>
      'type' in value ? [[key, value.type, value.name]] : [],
    );
    expect(named.sort()).toEqual([
      ['childEnded', 'signal', 'pawl.childEnded'],
      ['decided', 'signal', 'pawl.decided'],
      ['paused', 'signal', 'pawl.paused'],
      ['resumed', 'signal', 'pawl.resumed'],
      ['settled', 'signal', 'pawl.settled'],
      ['status', 'query', 'pawl.status'],
      ['steered', 'signal', 'pawl.steered'],
    ]);
  });

  it('activity types', () => {
    const deps = { registry: { tools: new Map([['refund', {}]]) } } as unknown as RunDeps;
    expect(Object.keys(createActivities(deps, {} as never)).sort()).toEqual(
      words(`
        default pawl.close pawl.collectChildren pawl.compact pawl.compensable pawl.model pawl.open
        pawl.openChildren pawl.park pawl.reconcile pawl.writeBack tool.reads tool.refund
      `),
    );
  });
});

describe('states and facts; red means: decide, then change pin and CHANGELOG in one commit', () => {
  it('contracts', () => {
    expect(Object.values(Contract)).toEqual(words('read transactional keyed reconcilable once'));
  });

  it('effect statuses', () => {
    expect(Object.values(EffectStatus)).toEqual(
      words('intended dispatched applied refused in_doubt'),
    );
  });

  it('fact kinds and sources, outcomes, steps → held by the compiler too', () => {
    expect(
      members<FactKind>({
        intended: true,
        dispatched: true,
        not_sent: true,
        ambiguous: true,
        pending: true,
        applied: true,
        refused: true,
        probed_absent: true,
        probed_unclear: true,
        doubted: true,
        withdrawn: true,
      }),
    ).toHaveLength(11);
    expect(
      members<FactSource>({
        response: true,
        probe: true,
        webhook: true,
        human: true,
        reconciler: true,
        engine: true,
      }),
    ).toHaveLength(6);
    expect(
      members<EffectOutcome['kind']>({
        applied: true,
        refused: true,
        in_doubt: true,
        pending: true,
        failed: true,
        awaiting_approval: true,
        paused: true,
        unrecorded: true,
      }),
    ).toHaveLength(8);
    expect(
      members<Step['kind']>({
        open: true,
        'call-model': true,
        compact: true,
        'run-calls': true,
        'await-approval': true,
        'await-settlement': true,
        'start-children': true,
        'await-children': true,
        'end-children': true,
        'await-user': true,
        'await-resume': true,
        'await-model': true,
        finish: true,
      }),
    ).toHaveLength(13);
  });

  it('call statuses, call ends and run ends', () => {
    expect(Object.values(CallStatus)).toEqual(
      words('ready awaiting_approval in_doubt pending awaiting_child done'),
    );
    expect(Object.values(CallEnd)).toEqual(
      words('applied refused denied forbidden expired invalid failed skipped cancelled'),
    );
    expect(Object.values(RunEnd)).toEqual(
      words(`
        completed invalid_output out_of_turns over_budget blocked stalled deadline_passed
        cancelled invalid_input terminated refused
      `),
    );
  });

  it('crash points', () => {
    expect(Object.values(CrashPoint)).toEqual(
      words(`
        before-intent intent-commit after-intent after-decision before-dispatch
        dispatch-commit before-send mid-request after-send before-settle settle-commit
        after-settle before-return after-return lease-wait before-probe after-probe
        before-doubt
        before-model-call after-model-call after-model-answer after-model-commit
      `),
    );
  });
});

const tables: Record<string, string[]> = {
  sweeps: words(`
    task_queue worker ended_at report failed_at failure looked_through
  `),
  meta: words(`
    id key_secret
  `),
  agent_versions: words(`
    tenant hash name description created_at
  `),
  workers: words(`
    identity task_queue build_id agents started_at seen_at
  `),
  runs: words(`
    tenant run_key root_key path agent agent_hash workflow_id start_key requester input
    turn input_tokens output_tokens cached_input_tokens cost_micro_usd output result
    stuck_cause created_at updated_at finished_at forked_from is_session
    parent_run_key parent_turn parent_generation parent_call subject erased_at
    model_wait budget
  `),
  refusals: words(`
    what count first_at last_at activity workflow_id why
  `),
  tenant_logins: words(`
    login tenant
  `),
  compensations: words(`
    tenant run_key id effects asked_by asked_at
  `),
  controls: words(`
    tenant run_key paused_at paused_by cancelled_at cancelled_by engine_lock
    ended_at ended_by resumed_at resumed_by
  `),
  messages: words(`
    tenant run_key id author text created_at consumed_turn
  `),
  run_seqs: words(`
    tenant root_key seq
  `),
  transcript: words(`
    tenant run_key seq turn parent_hash commitment hash role source created_at
  `),
  transcript_bodies: words(`
    tenant run_key seq salt parts
  `),
  model_steps: words(`
    tenant run_key turn generation result model_requested model_served stop_reason
    input_tokens output_tokens cached_input_tokens cost_micro_usd is_priced request_id
    attempt duration_ms created_at seal
  `),
  calls: words(`
    tenant run_key turn generation call tool provider_call_id arguments verdict rule
    policy_hash message summary effect_id approval_id ended result ended_at
    child_run_key seal
  `),
  model_answers: words(`
    tenant run_key turn generation kind id answer problem model_requested model_served
    input_tokens output_tokens cached_input_tokens cost_micro_usd is_priced request_id
    attempt duration_ms message_ids created_at
  `),
  compactions: words(`
    tenant run_key turn generation through_seq summary_seq model_requested model_served
    input_tokens output_tokens cached_input_tokens cost_micro_usd is_priced request_id
    attempt duration_ms created_at
  `),
  effects: words(`
    tenant id short_id run_key root_key turn call generation workflow_id tool contract
    wire_key key_retention_ms has_probe sends_max fingerprint arguments summary
    amount_minor currency identity_hash holds_identity same_as approval_id status sends
    absents has_conflict code reason output output_problem fence claim_order claimed_by
    lease_until first_sent_at created_at updated_at is_pending receiver_reference
    compensates seal settle_ms probe_failing_since looked_at wake_due
  `),
  effect_facts: words(`
    tenant effect_id ordinal kind source attempt fence data at seal
  `),
  effect_requests: words(`
    tenant effect_id method url headers body created_at seal
  `),
  approvals: words(`
    tenant id run_key workflow_id turn call effect_id agent tool tool_pin fingerprint
    arguments summary amount_minor currency rule requirement policy_hash requester nonce
    created_at expires_at seal decision_seal
  `),
  decisions: words(`
    tenant approval_id id decision approver reason binding decided_at seal
  `),
  callbacks: words(`
    tenant tool id wire_key reference outcome output code message received_at seal
  `),
  settlements: words(`
    tenant effect_id id outcome output evidence settled_by settled_at seal
  `),
  run_keys: words(`
    tenant run_key key_id kek_id wrapped created_at erased_at
  `),
  erasures: words(`
    tenant id run_key cause erased_by reason rows erased_at
  `),
};

/** Tables and columns as the migrations make them; an `alter table` may only add columns. */
function readTables(): Record<string, string[]> {
  const up = readdirSync(migrations)
    .sort()
    .map((name) => readFileSync(path.join(migrations, name), 'utf8').split('-- Down Migration')[0])
    .join('\n');
  const made = [...up.matchAll(/^create table pawl\.(\w+) \(\n([^]*?)\n\);$/gm)];
  const added = [...up.matchAll(/^alter table pawl\.(\w+)([^]*?);$/gm)];
  expect(added).toHaveLength((up.match(/^alter table/gim) ?? []).length);
  const columnsOf = (name: string): string[] =>
    added.flatMap(([, table, body = '']) =>
      table === name
        ? [...body.matchAll(/\badd column ([a-z_]+) /g)].map(([, each = '']) => each)
        : [],
    );
  return Object.fromEntries(
    made.map(([, table = '', body = '']) => [
      table,
      [
        ...[...body.matchAll(/^ {2}(?!primary|foreign|check|unique|constraint)([a-z_]+) /gm)].map(
          ([, column = '']) => column,
        ),
        ...columnsOf(table),
      ],
    ]),
  );
}

describe('the ledger; red means: decide, then change pin and CHANGELOG in one commit', () => {
  it('tables and columns → those that were released, in a migration of their own', () => {
    expect(readTables()).toEqual(tables);
  });

  it('doctor asks for the newest migration', () => {
    const newest = readdirSync(migrations).sort().at(-1);
    expect(`${NEWEST_MIGRATION}.sql`).toBe(newest);
  });

  it('every name of the ledger begins a statement that was understood', () => {
    const sql = readdirSync(migrations).map((name) =>
      readFileSync(path.join(migrations, name), 'utf8'),
    );
    const created = sql.join('\n').match(/create table/gi) ?? [];
    expect(created).toHaveLength(Object.keys(tables).length);
  });
});

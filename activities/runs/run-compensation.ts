// Compensation: lists what a run has done, the last first, and undoes one effect as an effect of its own.
import { Context } from '@temporalio/activity';
import type { EffectOutcome, ToolActivityInput } from '../../domain/rules/effect-outcome.ts';
import type { EffectStatus } from '../../domain/rules/effect.ts';
import { compensationId } from '../../domain/rules/ids.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { compensationName } from '../../domain/schemas/compensation.ts';
import { claimOf } from '../effects/claim.ts';
import { inputFingerprint } from '../effects/carried-input.ts';
import { fingerprint as fingerprintOf, shortId } from '../effects/fingerprint.ts';
import { withHeartbeat } from '../heartbeat.ts';
import type { EffectIntent, EffectRecord } from '../ledger/effect-ledger.ts';
import { unbacked } from '../ledger/unbacked.ts';
import { toLine } from './judge-terms.ts';
import { termsOf } from './propose-call.ts';
import { requireTool } from './agent-registry.ts';
import type { RunDeps } from './run-deps.ts';

type CompensateInput = Extract<ToolActivityInput, { kind: 'compensate' }>;

export interface CompensableInput {
  readonly v: 1;
  readonly tenant: string;
  readonly runKey: string;
  /** Short ids; absent: all of the run. */
  readonly effects?: readonly string[];
}

/** One effect that may have to be undone. */
export interface Compensable {
  readonly id: string;
  readonly effect: string;
  readonly rootKey: string;
  readonly tool: string;
  readonly summary: string;
  readonly status: EffectStatus;
  /** What undoes it; null: the tool has no `compensate`, so it stays. */
  readonly compensation: { readonly tool: string; readonly timeoutMs: number } | null;
}

interface CompensableRow {
  id: string;
  short_id: string;
  root_key: string;
  tool: string;
  summary: string;
  status: EffectStatus;
}

/** What was sent and may stand, the last first; what only took over another effect's outcome is not this run's to undo. */
export async function listCompensable(
  deps: RunDeps,
  { tenant, runKey, effects }: CompensableInput,
): Promise<readonly Compensable[]> {
  const { database, registry } = deps;
  await requireAsked(deps, { tenant, runKey });
  const rows = await database.query<CompensableRow>(
    `select id, short_id, root_key, tool, summary, status from pawl.effects
     where tenant = $1 and run_key = $2 and compensates is null and same_as is null
       and status in ('applied', 'dispatched', 'in_doubt') and ($3::text[] is null or short_id = any($3))
     order by first_sent_at desc nulls last, turn desc, call desc`,
    [tenant, runKey, effects ?? null],
  );
  return rows.map((row) => {
    const undo = registry.tools.get(compensationName(row.tool));
    return {
      id: row.id,
      effect: row.short_id,
      rootKey: row.root_key,
      tool: row.tool,
      summary: row.summary,
      status: row.status,
      compensation: undo ? { tool: undo.name, timeoutMs: undo.timeoutMs } : null,
    };
  });
}

/** Undoes one effect; an open one is waited for, one that never happened needs nothing. */
export async function runCompensation(
  deps: RunDeps,
  name: string,
  input: CompensateInput,
): Promise<EffectOutcome> {
  const context = Context.current();
  const tool = requireTool(deps, name);
  return withHeartbeat(context, async (isGivenUp) => {
    const begin = await deps.ledger.begin(input.tenant, input.effect, input.rootKey);
    const original = begin?.record;
    if (original) await requireUndoing(deps, name, input, original);
    const seq = begin?.seq ?? 0;
    if (!original || original.state.status === 'refused' || original.state.status === 'intended') {
      const message = 'the effect never happened: there is nothing to undo';
      return { kind: 'refused', code: 'nothing_to_undo', message, seq };
    }
    const { workflowId } = context.info.workflowExecution ?? {};
    if (original.state.status !== 'applied') {
      const reason = `waits for ${original.shortId}, which is ${original.state.status}: what to undo is not known`;
      // Its settlement is signalled to its own workflow alone.
      const effect = original.workflowId === workflowId ? original.shortId : undefined;
      return { kind: 'in_doubt', reason, effect, seq };
    }
    const intent = toCompensationIntent(tool, original, workflowId ?? null);
    const outcome = await deps.engine.perform({
      tool,
      tenant: input.tenant,
      id: intent.id,
      rootKey: input.rootKey,
      intent,
      claim: claimOf(context.info, tool),
      seqSeen: input.seq,
      isGivenUp,
    });
    await deps.crash('before-return', tool.name);
    return outcome;
  });
}

/** The effect is the one that the workflow names, the tool is the one that undoes it, and somebody has asked for it. */
async function requireUndoing(
  deps: RunDeps,
  name: string,
  { runKey, rootKey }: CompensateInput,
  original: EffectRecord,
): Promise<void> {
  const { tenant, tool, shortId: effect, compensates } = original;
  if (name !== compensationName(tool) || compensates !== null) {
    throw unbacked('undo', `${name} does not undo ${effect}`);
  }
  if (original.runKey !== runKey || original.rootKey !== rootKey) {
    throw unbacked('undo', `${effect} is not of ${runKey}`);
  }
  if (await requireAsked(deps, { tenant, runKey, effect })) return;
  if (deps.registry.stepTools.has(tool)) return;
  throw unbacked('undo', `${tool} is no tool of createWorker({ tools })`);
}

interface Undoing {
  readonly tenant: string;
  readonly runKey: string;
  /** Short id; absent: anything of the run. */
  readonly effect?: string;
}

/**
 * What an agent's run has done is undone when a person has asked for it, by `pawl compensate` or by a fork. False: it is
 * a plain workflow's, which undoes by itself. Throws `Authority.Refused`.
 */
async function requireAsked(
  { database }: RunDeps,
  { tenant, runKey, effect }: Undoing,
): Promise<boolean> {
  const [row] = await database.query<{ isAsked: boolean; isAgents: boolean }>(
    `select exists (select 1 from pawl.runs where tenant = $1 and run_key = $2) as "isAgents", exists (select 1 from pawl.compensations c where c.tenant = $1 and c.run_key = $2
         and ($3::text is null or c.effects is null or $3 = any(c.effects)))
       or exists (select 1 from pawl.runs f where f.tenant = $1 and f.forked_from->>'runKey' = $2
         and case when $3::text is null then jsonb_array_length(f.forked_from->'compensated') > 0
           else f.forked_from->'compensated' ? $3 end) as "isAsked"`,
    [tenant, runKey, effect ?? null],
  );
  if (row?.isAsked) return true;
  if (!row?.isAgents) return false;
  throw unbacked('undo', `nobody has asked to undo ${effect ?? 'anything'} of ${runKey}`);
}

/** The same for everybody who undoes this effect: however many ask, it is one. */
function toCompensationIntent(
  tool: AnyTool,
  original: EffectRecord,
  workflowId: string | null,
): EffectIntent {
  const id = compensationId(original.id);
  const done = { input: original.arguments, output: original.output };
  // Parsed is what is stored as the effect's input was.
  const isInput = original.fingerprint === inputFingerprint(original.arguments);
  const fingerprint = (isInput ? inputFingerprint : fingerprintOf)(done);
  return {
    tenant: original.tenant,
    id,
    shortId: shortId('ef', id),
    runKey: original.runKey,
    rootKey: original.rootKey,
    turn: original.turn,
    call: original.call,
    generation: original.generation,
    workflowId,
    ...termsOf(tool, { stored: done, fingerprint }),
    summary: toLine(`undo ${original.summary}`),
    amount: null,
    identityHash: null,
    approvalId: null,
    compensates: original.id,
  };
}

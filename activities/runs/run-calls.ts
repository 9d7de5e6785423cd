// The activity of a tool's calls in an agent run: one effect under the ledger, or several reads side by side.
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { EffectOutcome, ToolActivityInput } from '../../domain/rules/effect-outcome.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import { effectId } from '../../domain/rules/ids.ts';
import type { Json } from '../../domain/rules/json.ts';
import { CallEnd, type CallResult, endOfRefusal } from '../../domain/rules/run.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { isRefusal } from '../../domain/schemas/outcomes.ts';
import { attemptOf, claimOf } from '../effects/claim.ts';
import { messageOf, outputProblem } from '../effects/tool-run.ts';
import { jsonBody } from '../encryption/sealed-body.ts';
import { rolledBack } from '../ledger/rolled-back.ts';
import { toStorable } from '../ledger/storable.ts';
import { type IsGivenUp, withHeartbeat } from '../heartbeat.ts';
import { createAuthority } from './authority.ts';
import { callRead, retryRead } from './call-read.ts';
import type { StoredResult } from './previous-calls.ts';
import type { RunDeps } from './run-deps.ts';

type CallsInput = Extract<ToolActivityInput, { kind: 'calls' }>;

/** What became of each call, by its position. */
export type CallResults = Readonly<Record<string, CallResult>>;

/** Runs the calls; throws an `ApplicationFailure` when the same activity must try again later. */
export async function runCalls(deps: RunDeps, input: CallsInput): Promise<CallResults> {
  const context = Context.current();
  return withHeartbeat(context, async (isGivenUp) => {
    const results: Record<string, CallResult> = {};
    const rows = await readCalls(deps, input);
    // The workflow would ask for the missing ones again at once, and for ever.
    if (rows.length < input.calls.length) {
      throw rolledBack(`the ledger does not hold the calls of turn ${input.address.turn}`);
    }
    const reads = rows.filter((row) => row.effect_id === null);
    Object.assign(results, await runReads(deps, input, reads, context));
    for (const row of rows.filter((row) => row.effect_id !== null)) {
      results[row.call] = await runEffect(deps, input, row, context, isGivenUp);
    }
    return results;
  });
}

interface CallRow {
  call: string;
  tool: string;
  arguments: Json;
  effect_id: string | null;
  ended: CallEnd | null;
  result: StoredResult | null;
  /** The run's own; null when the ledger has lost its row. */
  agent: string | null;
  requester: string | null;
}

function readCalls(deps: RunDeps, { address, runKey, calls }: CallsInput): Promise<CallRow[]> {
  return deps.database.query<CallRow>(
    `select k.call, k.tool, k.arguments, k.effect_id, k.ended, k.result, r.agent, r.requester
     from pawl.calls k left join pawl.runs r using (tenant, run_key)
     where k.tenant = $1 and k.run_key = $2 and k.turn = $3 and k.generation = $4 and k.call = any($5)
     order by k.call::integer`,
    [address.tenant, runKey, address.turn, address.generation, calls],
  );
}

async function runEffect(
  deps: RunDeps,
  input: CallsInput,
  row: CallRow,
  context: Context,
  isGivenUp: IsGivenUp,
): Promise<CallResult> {
  const tool = requireTool(deps, row.tool);
  const { address, runKey } = input;
  const { agent, requester } = row;
  const scope = { tool, tenant: address.tenant, runKey, agent, requester };
  const outcome = await deps.engine.perform({
    tool,
    tenant: address.tenant,
    id: effectId({ ...address, call: row.call }),
    rootKey: address.rootKey,
    claim: claimOf(context.info, tool, input),
    seqSeen: input.seq,
    isGivenUp,
    authority: createAuthority(deps, scope),
  });
  await deps.crash('before-return', tool.name);
  return toCallResult(outcome);
}

/** What the workflow is told: how the call ended, never what it returned. */
export function toCallResult(outcome: EffectOutcome): CallResult {
  switch (outcome.kind) {
    case 'applied':
      return { kind: 'ended', end: 'applied', seq: outcome.seq };
    case 'refused':
      return { kind: 'ended', end: endOfRefusal(outcome.code), seq: outcome.seq };
    case 'failed':
      return { kind: 'ended', end: 'failed', seq: outcome.seq };
    case 'in_doubt':
      return { kind: 'in_doubt', reason: outcome.reason, seq: outcome.seq };
    case 'pending':
      return { kind: 'pending', seq: outcome.seq };
    case 'awaiting_approval':
      return { kind: 'awaiting_approval', approval: outcome.approval };
    case 'paused':
    case 'unrecorded':
      return outcome;
  }
}

async function runReads(
  deps: RunDeps,
  input: CallsInput,
  rows: readonly CallRow[],
  context: Context,
): Promise<CallResults> {
  const ended = await Promise.allSettled(rows.map((row) => runRead(deps, input, row, context)));
  const failed = ended.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return Object.fromEntries(
    rows.map((row, index) => {
      const result = ended[index];
      const end = result?.status === 'fulfilled' ? result.value : CallEnd.Failed;
      return [row.call, { kind: 'ended', end, seq: 0 }];
    }),
  );
}

/** A read that has its result keeps it: a retry of its neighbour does not repeat it. */
async function runRead(
  deps: RunDeps,
  input: CallsInput,
  row: CallRow,
  context: Context,
): Promise<CallEnd> {
  if (row.ended) return row.ended;
  const tool = requireTool(deps, row.tool);
  try {
    const { address, runKey } = input;
    const place = { tenant: address.tenant, runKey, id: effectId({ ...address, call: row.call }) };
    const output = await callRead(deps, tool, place, tool.input.parse(row.arguments), context);
    const problem = outputProblem(tool, output);
    if (problem === undefined) return await storeRead(deps, input, row, { ok: true, output });
    const message = `the result does not match the tool's output schema: ${problem}`;
    return await storeRead(deps, input, row, { ok: false, code: 'output_invalid', message });
  } catch (error) {
    if (context.cancellationSignal.aborted) throw error;
    if (isRefusal(error)) {
      return storeRead(deps, input, row, { ok: false, code: error.code, message: error.message });
    }
    const attempt = attemptOf(context.info, input);
    if (attempt >= tool.sendsMax) {
      return storeRead(deps, input, row, {
        ok: false,
        code: 'tool_failed',
        message: messageOf(error),
      });
    }
    throw retryRead(tool, attempt, error, deps.random());
  }
}

async function storeRead(
  deps: RunDeps,
  { address, runKey }: CallsInput,
  row: CallRow,
  result: StoredResult,
): Promise<CallEnd> {
  const end = result.ok ? CallEnd.Applied : CallEnd.Failed;
  await deps.database.query(
    `update pawl.calls set ended = $6, result = $7, ended_at = clock_timestamp()
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4 and call = $5 and ended is null`,
    [
      address.tenant,
      runKey,
      address.turn,
      address.generation,
      row.call,
      end,
      jsonBody({ tenant: address.tenant, runKey }, 'calls.result', toStorable(result)),
    ],
  );
  return end;
}

/** The tool in this build; the `default` activity answers for one that it no longer has. */
export function requireTool(deps: RunDeps, name: string): AnyTool {
  const tool = deps.registry.tools.get(name);
  if (tool) return tool;
  throw ApplicationFailure.nonRetryable(
    `This worker's build has no tool "${name}". Deploy a build that has it, then \`pawl resume\` the run.`,
    FailureType.ToolUnavailable,
  );
}

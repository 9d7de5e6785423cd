// The activity of a tool's calls in an agent run: one effect under the ledger, or several reads side by side.
import { Context } from '@temporalio/activity';
import type { ToolActivityInput } from '../../domain/rules/effect-outcome.ts';
import { effectId } from '../../domain/rules/ids.ts';
import type { Json } from '../../domain/rules/json.ts';
import { CallEnd, type CallResult } from '../../domain/rules/run.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import { isRefusal } from '../../domain/schemas/outcomes.ts';
import { attemptOf } from '../effects/claim.ts';
import { clip } from '../effects/clip.ts';
import { tellFailure } from '../effects/never-connected.ts';
import { parseValue } from '../effects/parse-value.ts';
import { toRefused } from '../effects/read-outcome.ts';
import { jsonBody } from '../encryption/sealed-body.ts';
import { rolledBack } from '../ledger/rolled-back.ts';
import { toStorable } from '../ledger/storable.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { requireTool } from './agent-registry.ts';
import { requireOwnRun, toClaim } from './backing.ts';
import { callRead, cancelledRead, retryRead } from './call-read.ts';
import type { StoredResult } from './previous-calls.ts';
import type { RunDeps } from './run-deps.ts';
import { runEffectCall } from './run-effect-call.ts';

type CallsInput = Extract<ToolActivityInput, { kind: 'calls' }>;

/** What became of each call, by its position. */
export type CallResults = Readonly<Record<string, CallResult>>;

/**
 * Runs the calls; throws an `ApplicationFailure` when the same activity must try again later. `name` is that of the
 * activity's one tool: an effect's arguments are in the ledger, so its call need not be read.
 */
export async function runCalls(
  deps: RunDeps,
  input: CallsInput,
  name?: string,
): Promise<CallResults> {
  const context = Context.current();
  return withHeartbeat(context, async (isGivenUp) => {
    const attempt = { deps, input, context, isGivenUp };
    const [call, ...others] = input.calls;
    if (call !== undefined && others.length === 0 && isEffect(deps, name)) {
      return { [call]: await runEffectCall(attempt, { call, tool: name }) };
    }
    if (!(await requireOwnRun(deps, toClaim(input.runKey, input.address)))) {
      throw rolledBack('the ledger does not know it');
    }
    const rows = await readCalls(deps, input);
    // The workflow would ask for the missing ones again at once, and for ever.
    if (rows.length < input.calls.length) {
      throw rolledBack(`the ledger does not hold the calls of turn ${input.address.turn}`);
    }
    const reads = rows.filter((row) => row.effect_id === null);
    const results: Record<string, CallResult> = {
      ...(await runReads(deps, input, reads, context)),
    };
    // The call decides, not this build's tool: what was proposed as an effect is never sent as a read.
    for (const row of rows.filter((row) => row.effect_id !== null)) {
      results[row.call] = await runEffectCall(attempt, row);
    }
    return results;
  });
}

function isEffect({ registry }: RunDeps, name: string | undefined): name is string {
  const tool = name === undefined ? undefined : registry.tools.get(name);
  return tool !== undefined && tool.contract !== 'read';
}

interface CallRow {
  call: string;
  tool: string;
  arguments: Json;
  effect_id: string | null;
  ended: CallEnd | null;
  result: StoredResult | null;
}

function readCalls(deps: RunDeps, { address, runKey, calls }: CallsInput): Promise<CallRow[]> {
  return deps.database.query<CallRow>(
    `select call, tool, arguments, effect_id, ended, result
     from pawl.calls
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4 and call = any($5)
     order by call::integer`,
    [address.tenant, runKey, address.turn, address.generation, calls],
    { isPrepared: true },
  );
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
    const parsed = await parseValue(tool.input, row.arguments);
    if (parsed.kind === 'invalid') {
      const message = parsed.problem;
      return await storeRead(deps, input, row, { ok: false, code: 'invalid_arguments', message });
    }
    if (parsed.kind === 'threw') throw new Error(parsed.problem);
    const read = await callRead(deps, tool, place, parsed.value, context);
    const { output, outputProblem: problem } = read;
    if (problem === undefined) return await storeRead(deps, input, row, { ok: true, output });
    const message = `the result does not match the tool's output schema: ${problem}`;
    return await storeRead(deps, input, row, { ok: false, code: 'output_invalid', message });
  } catch (error) {
    if (context.cancellationSignal.aborted) throw cancelledRead(error);
    if (isRefusal(error)) {
      return storeRead(deps, input, row, { ok: false, ...toRefused(error) });
    }
    const attempt = attemptOf(context.info, input);
    if (attempt >= tool.sendsMax) {
      // As an error: where bodies are encrypted, the log hides its words.
      context.log.warn('A read failed', {
        tool: tool.name,
        error: new Error(describeThrown(error)),
      });
      return storeRead(deps, input, row, {
        ok: false,
        code: 'tool_failed',
        message: clip(tellFailure(error)),
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
    { isPrepared: true },
  );
  return end;
}

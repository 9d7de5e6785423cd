// The first activity of a run: parses its input, pins its agent's description and writes the first message.
import { ApplicationFailure } from '@temporalio/common';
import { DEPTH_DEFAULT } from '../../domain/rules/children.ts';
import type { AgentPin } from '../../domain/rules/run.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import type { ForkOrigin } from '../../domain/rules/fork-origin.ts';
import type { Json } from '../../domain/rules/json.ts';
import { parseShown } from '../effects/carried-input.ts';
import { jsonBody } from '../encryption/sealed-body.ts';
import { copyTranscript } from './open-fork.ts';
import { appendTranscript } from '../transcripts/transcript.ts';
import type { RegisteredAgent } from './agent-registry.ts';
import { codeInvalid } from './judge-terms.ts';
import type { RunDeps } from './run-deps.ts';
import type { PinnedBudget } from './run-origin.ts';

export interface OpenInput {
  readonly v: 1;
  readonly tenant: string;
  readonly runKey: string;
  readonly rootKey: string;
  readonly agent: string;
}

export type OpenResult =
  | { readonly kind: 'opened'; readonly agent: AgentPin; readonly seq: number }
  | { readonly kind: 'rejected'; readonly reason: string };

/** Idempotent: a second attempt finds the run open and returns the same pin. */
export async function openRun(deps: RunDeps, input: OpenInput): Promise<OpenResult> {
  const { tenant, runKey } = input;
  const registered = deps.registry.agents.get(input.agent);
  if (!registered) throw unknownAgent(deps, input.agent);
  const [run] = await deps.database.query<StoredRun>(
    `select agent, input, forked_from, agent_hash as "agentHash", budget, finished_at is not null as "isFinished"
     from pawl.runs where tenant = $1 and run_key = $2`,
    [tenant, runKey],
  );
  // A row that only shows a lost run has another agent's name.
  if (run?.agent !== input.agent) {
    throw ApplicationFailure.nonRetryable(
      `The ledger has no run ${runKey}: start runs with PawlClient or \`pawl run\``,
      FailureType.LedgerRolledBack,
    );
  }
  const parsed = await parseShown(registered.agent.input, run.input, 'input');
  if (parsed.kind === 'invalid') {
    return {
      kind: 'rejected',
      reason: `the input does not match ${input.agent}: ${parsed.problem}`,
    };
  }
  if (parsed.kind === 'threw') {
    throw codeInvalid(`Agent "${input.agent}": \`input\``, `cannot judge: ${parsed.problem}`);
  }
  if (run.agentHash !== null || run.isFinished) await reopen(deps, input);
  const told = { ...run, input: parsed.shown };
  await deps.database.transaction((tx) => pin(tx, registered, input, told));
  // Opened by an execution before this one, maybe of another build: the run keeps its description and its budget.
  const hash = run.agentHash ?? registered.pin.hash;
  const budget = { ...registered.pin.budget, ...run.budget };
  return { kind: 'opened', agent: { ...registered.pin, hash, budget }, seq: 0 };
}

/** Agents outlive their runs: their instructions have a data key of their own. */
const AGENTS_KEY = '(agents)';

interface StoredRun {
  agent: string;
  input: Json;
  forked_from: ForkOrigin | null;
  agentHash: string | null;
  budget: PinnedBudget | null;
  isFinished: boolean;
}

/** An execution before this one may have been terminated, and its row closed: this one goes on with it. */
async function reopen({ database }: RunDeps, { tenant, runKey }: OpenInput): Promise<void> {
  await database.query(
    // In any case it changes: a sweep that has seen the end of the other one leaves it then.
    `update pawl.runs set finished_at = null, result = null, updated_at = clock_timestamp()
     where tenant = $1 and run_key = $2
       and (finished_at is null or (result->>'kind' = 'terminated' and erased_at is null))`,
    [tenant, runKey],
  );
}

async function pin(
  tx: Parameters<typeof appendTranscript>[0],
  { description, pin: { name, hash, budget } }: RegisteredAgent,
  { tenant, runKey }: OpenInput,
  { input, forked_from: origin }: StoredRun,
): Promise<void> {
  await tx.query(
    `insert into pawl.agent_versions (tenant, hash, name, description) values ($1, $2, $3, $4)
     on conflict do nothing`,
    [
      tenant,
      hash,
      name,
      jsonBody({ tenant, runKey: AGENTS_KEY }, 'agent_versions.description', description),
    ],
  );
  const { turns, depth = DEPTH_DEFAULT } = budget;
  const { rowCount } = await tx.query(
    `update pawl.runs set agent_hash = $3, budget = $4, updated_at = clock_timestamp()
     where tenant = $1 and run_key = $2 and agent_hash is null`,
    [tenant, runKey, hash, { turns, depth } satisfies PinnedBudget],
  );
  if (!rowCount) return;
  if (origin) return copyTranscript(tx, tenant, runKey, origin);
  const text = typeof input === 'string' ? input : JSON.stringify(input);
  await appendTranscript(tx, tenant, runKey, 0, [
    { role: 'user', source: 'input', parts: [{ kind: 'text', text }] },
  ]);
}

function unknownAgent(deps: RunDeps, name: string): ApplicationFailure {
  const known = [...deps.registry.agents.keys()].join(', ') || 'none';
  return ApplicationFailure.nonRetryable(
    `No agent is named "${name}" in this worker's build. It offers: ${known}. ` +
      'Deploy a worker with that agent, then `pawl resume` the run.',
    FailureType.AgentUnknown,
  );
}

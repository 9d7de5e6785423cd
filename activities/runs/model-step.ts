// The model activity: one call to the model a turn, and one transaction at its end that stores all that follows from it.
import { Context } from '@temporalio/activity';
import type { Json } from '../../domain/rules/json.ts';
import type { ModelStepResult, ProposedCall } from '../../domain/rules/run.ts';
import type { Message, ModelRequest, ToolCallPart } from '../../domain/rules/transcript.ts';
import { fingerprint } from '../effects/fingerprint.ts';
import { readTranscript } from '../transcripts/transcript.ts';
import type { AgentDescription, RegisteredAgent } from './agent-registry.ts';
import { callModel, type ModelCall } from './call-model.ts';
import { judgeFinal } from './final-answer.ts';
import { type FreshEntries, newEntries } from './fresh-entries.ts';
import type { ModelStepInput } from './model-step-input.ts';
import { proposeCall } from './propose-call.ts';
import type { RunDeps } from './run-deps.ts';
import { storeModelStep } from './store-model-step.ts';

/** Calls the model, unless this turn's answer is stored already: a retry or a reset makes no wire request. */
export async function modelStep(deps: RunDeps, input: ModelStepInput): Promise<ModelStepResult> {
  const stored = await readStored(deps, input);
  if (stored) return stored;
  const state = await readRunState(deps, input);
  if (state.cancelled) return { kind: 'cancelled' };
  if (state.paused) return { kind: 'paused' };
  const registered = requireAgent(deps, input.agent);
  const description = await readDescription(deps, input);
  const fresh = await newEntries(deps, input);
  const history = await readTranscript(deps.database, input.address.tenant, input.runKey);
  const request = toRequest(description, [...history, ...fresh.entries]);
  await deps.crash('before-model-call', input.agent);
  const call = await callModel(
    deps,
    description.model,
    request,
    idempotencyKey(input),
    Context.current(),
  );
  await deps.crash('after-model-call', input.agent);
  const result = await store(deps, input, registered, { call, fresh, requester: state.requester });
  await deps.crash('after-model-commit', input.agent);
  return result;
}

async function readStored(
  deps: RunDeps,
  { address, runKey }: ModelStepInput,
): Promise<ModelStepResult | undefined> {
  const [row] = await deps.database.query<{ result: ModelStepResult }>(
    `select result from pawl.model_steps
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4`,
    [address.tenant, runKey, address.turn, address.generation],
  );
  return row?.result;
}

interface RunFlags {
  paused: boolean;
  cancelled: boolean;
  requester: string;
}

async function readRunState(deps: RunDeps, { address, runKey }: ModelStepInput): Promise<RunFlags> {
  const [row] = await deps.database.query<RunFlags>(
    `select c.paused_at is not null as paused, c.cancelled_at is not null as cancelled, r.requester
     from pawl.runs r join pawl.controls c using (tenant, run_key)
     where r.tenant = $1 and r.run_key = $2`,
    [address.tenant, runKey],
  );
  return row ?? { paused: false, cancelled: false, requester: 'unknown' };
}

function requireAgent(deps: RunDeps, name: string): RegisteredAgent {
  const registered = deps.registry.agents.get(name);
  if (!registered) throw new Error(`this build no longer offers the agent "${name}"`);
  return registered;
}

async function readDescription(deps: RunDeps, input: ModelStepInput): Promise<AgentDescription> {
  const [row] = await deps.database.query<{ description: AgentDescription }>(
    'select description from pawl.agent_versions where tenant = $1 and hash = $2',
    [input.address.tenant, input.agentHash],
  );
  if (!row) throw new Error(`the ledger has no agent description ${input.agentHash}`);
  return row.description;
}

/** Byte-stable from turn to turn: nothing in here depends on the clock, the worker or the turn. */
function toRequest(description: AgentDescription, messages: readonly Message[]): ModelRequest {
  return {
    model: '',
    system: systemPrompt(description),
    messages: messages.map(({ role, parts }) => ({ role, parts })),
    tools: description.tools,
    maxOutputTokens: description.maxOutputTokens,
  };
}

function systemPrompt({ instructions, outputSchema }: AgentDescription): string {
  if (outputSchema === null) return instructions;
  return (
    `${instructions}\n\nWhen you are done, answer with JSON only, without code fences, that matches this JSON Schema:\n` +
    JSON.stringify(outputSchema)
  );
}

function idempotencyKey({ address, runKey }: ModelStepInput): string {
  return fingerprint(['model', address.tenant, runKey, address.turn, address.generation]).slice(
    0,
    32,
  );
}

interface Answered {
  readonly call: ModelCall;
  readonly fresh: FreshEntries;
  readonly requester: string;
}

async function store(
  deps: RunDeps,
  input: ModelStepInput,
  registered: RegisteredAgent,
  { call, fresh, requester }: Answered,
): Promise<ModelStepResult> {
  const parts = call.answer.parts.filter((part): part is ToolCallPart => part.kind === 'tool-call');
  const { address, runKey } = input;
  const proposals = await Promise.all(
    parts.map((part, index) =>
      proposeCall({ registered, address, runKey, requester }, part, String(index)),
    ),
  );
  const result: ModelStepResult = {
    kind: 'answered',
    calls: proposals.map(({ proposed }): ProposedCall => proposed),
    fingerprint: answerFingerprint(parts),
    ...(parts.length === 0 ? { final: judgeFinal(registered, call.answer) } : {}),
    usage: call.usage,
    seq: 0,
  };
  return storeModelStep(deps, { input, registered, call, fresh, proposals, result, requester });
}

/** Equal for equal calls: 16 letters are enough to notice a loop. */
function answerFingerprint(parts: readonly ToolCallPart[]): string {
  return fingerprint(parts.map((part): Json => [part.name, part.arguments])).slice(0, 16);
}

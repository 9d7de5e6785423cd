// The model activity: one call to the model a turn, and one transaction at its end that stores all that follows from it.
import { Context } from '@temporalio/activity';
import type { EffectAddress } from '../../domain/rules/ids.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { FinalAnswer, ModelStepResult, ProposedCall } from '../../domain/rules/run.ts';
import type {
  Message,
  ModelAnswer,
  ModelRequest,
  Part,
  ToolCallPart,
} from '../../domain/rules/transcript.ts';
import { fingerprint } from '../effects/fingerprint.ts';
import { readTranscript, type TranscriptEntry } from '../transcripts/transcript.ts';
import type { AgentDescription, RegisteredAgent } from './agent-registry.ts';
import { callModel, type ModelCall } from './call-model.ts';
import { toolResults } from './previous-calls.ts';
import { proposeCall } from './propose-call.ts';
import type { RunDeps } from './run-deps.ts';
import { storeModelStep } from './store-model-step.ts';

export interface ModelStepInput {
  readonly v: 1;
  /** The turn is in here; `call` is the call's position in the answer. */
  readonly address: Omit<EffectAddress, 'call'>;
  readonly runKey: string;
  readonly agent: string;
  /** Hash of the pinned description. */
  readonly agentHash: string;
}

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

/** What the transcript does not hold yet: last turn's results, steering messages, a complaint about the answer. */
export interface FreshEntries {
  readonly entries: readonly TranscriptEntry[];
  readonly messageIds: readonly string[];
}

async function newEntries(deps: RunDeps, input: ModelStepInput): Promise<FreshEntries> {
  const { tenant, turn, generation } = input.address;
  return deps.database.transaction(
    async (tx) => {
      const results = await toolResults(tx, {
        tenant,
        runKey: input.runKey,
        turn: turn - 1,
        generation,
      });
      const { rows: messages } = await tx.query<{ id: string; text: string; author: string }>(
        `select id, text, author from pawl.messages
         where tenant = $1 and run_key = $2 and consumed_turn is null order by created_at, id`,
        [tenant, input.runKey],
      );
      const { rows: previous } = await tx.query<{ result: ModelStepResult }>(
        `select result from pawl.model_steps
         where tenant = $1 and run_key = $2 and turn = $3 and generation = $4`,
        [tenant, input.runKey, turn - 1, generation],
      );
      const complaint = complaintAbout(previous[0]?.result);
      const steering = messages.map(({ text, author }) => userEntry(`steer:${author}`, text));
      return {
        entries: [...results, ...complaint, ...steering],
        messageIds: messages.map(({ id }) => id),
      };
    },
    { durable: false },
  );
}

function complaintAbout(previous: ModelStepResult | undefined): readonly TranscriptEntry[] {
  if (previous?.kind !== 'answered' || !previous.final || previous.final.isValid) return [];
  const text = `Your answer does not match the required output: ${previous.final.problem ?? ''}. Answer again.`;
  return [userEntry('pawl', text)];
}

function userEntry(source: string, text: string): TranscriptEntry {
  return { role: 'user', source, parts: [{ kind: 'text', text }] };
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

function judgeFinal(registered: RegisteredAgent, answer: ModelAnswer): FinalAnswer {
  const { output } = registered.agent;
  if (answer.stopReason === 'max-tokens') {
    return { isValid: false, problem: 'the answer was cut off at the output limit' };
  }
  if (!output) return { isValid: true };
  const parsed = parseJson(textOf(answer.parts));
  if (parsed === undefined) return { isValid: false, problem: 'the answer is not JSON' };
  const checked = output.safeParse(parsed);
  if (checked.success) return { isValid: true };
  const issues = checked.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'output'}: ${message}`,
  );
  return { isValid: false, problem: issues.join('; ').slice(0, 500) };
}

/** The text of an answer; models like to fence JSON, so one fence around all of it is taken off. */
export function textOf(parts: readonly Part[]): string {
  const text = parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('');
  return /^\s*```(?:json)?\n([\s\S]*?)\n```\s*$/.exec(text)?.[1] ?? text;
}

/** The JSON value in a text; undefined when it is none. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

// The model activity: one call to the model a turn, and one transaction at its end that stores all that follows from it.
import { Context } from '@temporalio/activity';
import type { Json } from '../../domain/rules/json.ts';
import type { ModelStepResult, ProposedCall } from '../../domain/rules/run.ts';
import type { Message, ToolCallPart } from '../../domain/rules/transcript.ts';
import { fingerprint } from '../effects/fingerprint.ts';
import { type ContextMessage, readContext } from '../transcripts/context.ts';
import {
  recallContext,
  rememberContext,
  rememberSince,
} from '../transcripts/remembered-context.ts';
import type { RegisteredAgent } from './agent-registry.ts';
import { callModel, type ModelCall } from './call-model.ts';
import { judgeFinal } from './final-answer.ts';
import { type FreshEntries, newEntries } from './fresh-entries.ts';
import { callKey, readDescription, toRequest } from './model-request.ts';
import type { ModelStepInput } from './model-step-input.ts';
import { proposeAll } from './propose-child.ts';
import type { RunDeps } from './run-deps.ts';
import { storeModelStep } from './store-model-step.ts';
import { readTurn, type TurnView } from './turn-view.ts';

/** Calls the model, unless this turn's answer is stored already: a retry or a reset makes no wire request. */
export async function modelStep(deps: RunDeps, input: ModelStepInput): Promise<ModelStepResult> {
  const [turn, history] = await look(deps, input);
  if (turn.stored) return turn.stored;
  if (turn.cancelled) return { kind: 'cancelled' };
  if (turn.paused) return { kind: 'paused' };
  const registered = requireAgent(deps, input.agent);
  const description = await readDescription(deps, input);
  const fresh = await newEntries(deps, input, turn);
  if (input.session && isAnswered(history, fresh))
    return { kind: turn.ended ? 'session-ended' : 'idle' };
  const request = toRequest(description, [...history, ...fresh.entries]);
  await deps.crash('before-model-call', input.agent);
  const call = await callModel(
    deps,
    description.model,
    request,
    callKey('model', input),
    Context.current(),
  );
  await deps.crash('after-model-call', input.agent);
  const result = await store(deps, input, registered, { call, fresh, ...turn });
  await deps.crash('after-model-commit', input.agent);
  return result;
}

/** The turn, and what the model was shown until now: of that only what this process does not remember. */
async function look(
  { database, isEncrypted = false }: RunDeps,
  input: ModelStepInput,
): Promise<readonly [TurnView, readonly ContextMessage[]]> {
  const { runKey } = input;
  const { tenant } = input.address;
  // Sealed bodies are not kept in the clear.
  const read = isEncrypted ? readContext : rememberContext;
  const known = isEncrypted ? undefined : recallContext(database, tenant, runKey);
  if (!known) return Promise.all([readTurn(database, input), read(database, tenant, runKey)]);
  const turn = await readTurn(database, input, known.last.seq);
  return [turn, await rememberSince(database, { tenant, runKey }, known, turn.since)];
}

/** Nothing was said since the last answer. */
function isAnswered(history: readonly Message[], { entries }: FreshEntries): boolean {
  return entries.length === 0 && history.at(-1)?.role === 'assistant';
}

function requireAgent(deps: RunDeps, name: string): RegisteredAgent {
  const registered = deps.registry.agents.get(name);
  if (!registered) throw new Error(`this build no longer offers the agent "${name}"`);
  return registered;
}

interface Answered {
  readonly call: ModelCall;
  readonly fresh: FreshEntries;
  readonly ended: boolean;
  readonly requester: string;
}

async function store(
  deps: RunDeps,
  input: ModelStepInput,
  registered: RegisteredAgent,
  { call, fresh, ended, requester }: Answered,
): Promise<ModelStepResult> {
  const parts = call.answer.parts.filter((part): part is ToolCallPart => part.kind === 'tool-call');
  const { address, runKey } = input;
  const context = { registered, address, runKey, requester };
  const proposals = await proposeAll(deps, context, parts, input.depthLeft);
  const result: ModelStepResult = {
    kind: 'answered',
    calls: proposals.map(({ proposed }): ProposedCall => proposed),
    fingerprint: answerFingerprint(parts),
    ...(parts.length === 0 ? { final: await judgeFinal(registered, call.answer) } : {}),
    usage: call.usage,
    seq: 0,
    ...(input.session ? { session: { heard: fresh.messageIds.length, isEnded: ended } } : {}),
  };
  return storeModelStep(deps, { input, registered, call, fresh, proposals, result, requester });
}

/** Equal for equal calls: 16 letters are enough to notice a loop. */
function answerFingerprint(parts: readonly ToolCallPart[]): string {
  return fingerprint(parts.map((part): Json => [part.name, part.arguments])).slice(0, 16);
}

// The model activity: one call to the model a turn, its answer stored first, and one transaction at its end for all that follows.
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { FailureType } from '../../domain/rules/failure.ts';
import type {
  FinalAnswer,
  ModelStepResult,
  ProposedCall,
  RunUsage,
} from '../../domain/rules/run.ts';
import type { Message } from '../../domain/rules/transcript.ts';
import { recallAttempts, rememberAttempt } from '../attempt-memory.ts';
import { unbacked } from '../ledger/unbacked.ts';
import { type ContextMessage, readContext } from '../transcripts/context.ts';
import {
  recallContext,
  rememberContext,
  rememberSince,
} from '../transcripts/remembered-context.ts';
import type { AgentDescription, RegisteredAgent } from './agent-registry.ts';
import { type Asked, callModel } from './call-model.ts';
import { type FreshEntries, newEntries } from './fresh-entries.ts';
import { judgeAnswer } from './judge-answer.ts';
import { type ModelCall, sumUsage } from './model-answers.ts';
import { readDescription, toRequest } from './model-request.ts';
import type { ModelStepInput } from './model-step-input.ts';
import { storeModelWait } from './model-wait.ts';
import type { RunDeps } from './run-deps.ts';
import { storeModelStep } from './store-model-step.ts';
import { readTurn, type TurnView } from './turn-view.ts';

/**
 * Calls the model, unless this turn's answer is stored already: a retry or a reset makes no wire request. One that has
 * arrived and was not judged yet is judged now.
 */
export async function modelStep(deps: RunDeps, input: ModelStepInput): Promise<ModelStepResult> {
  const [turn, history] = await look(deps, input);
  if (turn.stored) return turn.stored;
  if (turn.cancelled) return { kind: 'cancelled' };
  if (turn.paused) return { kind: 'paused' };
  // A workflow that goes on where its run has ended was started by somebody else.
  if (turn.isOver) throw unbacked('run', `${input.runKey} has ended`);
  const registered = requireAgent(deps, input.agent);
  const description = await readDescription(deps, input);
  const fresh = await newEntries(deps, input, turn);
  const question = { registered, description, fresh, turn };
  if (turn.arrived) {
    countJudging(Context.current());
    return judge(deps, input, question, turn.arrived);
  }
  if (input.session && isAnswered(history, fresh))
    return { kind: turn.ended ? 'session-ended' : 'idle' };
  const asked = await ask(deps, input, question, history);
  if (asked.kind === 'waiting') return storeModelWait(deps, input, asked);
  return judge(deps, input, question, asked.call);
}

interface Question {
  readonly registered: RegisteredAgent;
  readonly description: AgentDescription;
  readonly fresh: FreshEntries;
  readonly turn: TurnView;
}

function ask(
  deps: RunDeps,
  input: ModelStepInput,
  { description, fresh }: Question,
  history: readonly Message[],
): Promise<Asked> {
  const request = toRequest(description, [...history, ...fresh.entries]);
  const { model } = description;
  const { messageIds } = fresh;
  return callModel(deps, { input, kind: 'turn', model, request, messageIds }, Context.current());
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

/** How often an answer is judged again whose judgement did not end: code of the user's that hangs takes its worker along. */
const JUDGED_AGAIN_MAX = 3;

function countJudging(context: Context): void {
  const { judged = 0 } = recallAttempts(context);
  if (judged >= JUDGED_AGAIN_MAX) {
    throw ApplicationFailure.nonRetryable(
      `${judged} attempts ended while a stored answer was judged: does a schema, a policy, \`identity\` or \`amount\` hang?`,
      FailureType.StepFailed,
    );
  }
  rememberAttempt(context, { judged: judged + 1 });
}

/** What is thrown from here on buys nothing again: the answer is stored. */
async function judge(
  deps: RunDeps,
  input: ModelStepInput,
  { registered, description, fresh, turn }: Question,
  call: ModelCall,
): Promise<ModelStepResult> {
  const { address, runKey } = input;
  const { requester, ended } = turn;
  const context = { registered, address, runKey, requester };
  const judged = await judgeAnswer(deps, context, description, call.answer, input.depthLeft);
  const { proposals, told, final } = judged;
  const result: ModelStepResult = {
    kind: 'answered',
    calls: proposals.slice(0, told).map(({ proposed }): ProposedCall => proposed),
    fingerprint: judged.fingerprint,
    ...(final ? { final: input.canWait ? final : withoutWhy(final) } : {}),
    usage: sumUsage(call.usage, turn.unused),
    ...(isSpent(turn.unused) ? { contextTokens: tokensOf(call.usage) } : {}),
    seq: 0,
    ...(input.session ? { session: { heard: fresh.messageIds.length, isEnded: ended } } : {}),
  };
  const { parts } = judged;
  const rows = { input, registered, call, parts, fresh, proposals, result, requester };
  const stored = await storeModelStep(deps, rows);
  await deps.crash('after-model-commit', input.agent);
  return stored;
}

const tokensOf = ({ inputTokens, outputTokens }: RunUsage): number => inputTokens + outputTokens;
const isSpent = (usage: RunUsage): boolean => tokensOf(usage) > 0;

/** An execution of the build before decides by `isValid` alone. */
function withoutWhy({ why: _, ...final }: FinalAnswer): FinalAnswer {
  return final;
}

// Turns one proposed tool call into rows: arguments parsed, policy pre-screened, effect and approval prepared.
import { randomBytes } from 'node:crypto';
import { effectId } from '../../domain/rules/ids.ts';
import type { EffectAddress } from '../../domain/rules/ids.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { PolicyVerdict } from '../../domain/rules/policy.ts';
import type { ProposedCall } from '../../domain/rules/run.ts';
import { describeThrown, messageOfThrown } from '../../domain/rules/thrown.ts';
import type { ToolCallPart } from '../../domain/rules/transcript.ts';
import { type AnyTool, probeOf } from '../../domain/schemas/define-tool.ts';
import { type CarriedInput, carryInput } from '../effects/carried-input.ts';
import { shortId } from '../effects/fingerprint.ts';
import type { EffectIntent } from '../ledger/effect-ledger.ts';
import { toStorable } from '../ledger/storable.ts';
import { askPolicy } from '../policy/ask-policy.ts';
import { type RegisteredAgent, toolPin } from './agent-registry.ts';
import { type CallTerms, judgeTerms } from './judge-terms.ts';

/** What the call belongs to. */
export interface CallContext {
  readonly registered: RegisteredAgent;
  readonly address: Omit<EffectAddress, 'call'>;
  readonly runKey: string;
  readonly requester: string;
}

/** An approval row to be inserted. */
export interface ApprovalDraft {
  readonly id: string;
  readonly effectId: string;
  readonly rule: string;
  readonly requirement: string;
  readonly toolPin: string;
  readonly nonce: string;
  readonly expiresInMs: number;
}

/** One call with everything that the model step's transaction stores of it. */
export interface Proposal {
  readonly part: ToolCallPart;
  readonly call: string;
  readonly proposed: ProposedCall;
  /** What the model is told at once, for calls that end here. */
  readonly refusal?: { readonly code: string; readonly message: string };
  readonly intent?: EffectIntent;
  readonly approval?: ApprovalDraft;
}

/**
 * Judges one call. Whatever is wrong with it goes back to the model, never up as an error; a mistake in the tool's own
 * code (`Code.Invalid`) alone is thrown.
 */
export async function proposeCall(
  context: CallContext,
  part: ToolCallPart,
  call: string,
): Promise<Proposal> {
  const tool = context.registered.agent.tools.find(({ name }) => name === part.name);
  if (!tool) {
    const { tools, agents } = context.registered.agent;
    const known = [...tools, ...agents].map(({ name }) => name).join(', ');
    return refuse(
      part,
      call,
      'invalid',
      'unknown_tool',
      `no tool is named "${part.name}"; there are: ${known}`,
    );
  }
  const input = await carryArguments(tool.input, part);
  if (input.kind !== 'valid')
    return refuse(part, call, 'invalid', 'invalid_arguments', input.problem);
  const terms = judgeTerms(tool, input.value);
  const verdict = await preScreen(context, tool, input.shown, terms.amount);
  if (verdict.kind === 'forbid') {
    const why = verdict.message ?? `forbidden by rule ${verdict.rule}`;
    return refuse(part, call, 'forbid', verdict.rule, why);
  }
  const { summary } = terms;
  if (tool.contract === 'read') {
    return {
      part,
      call,
      proposed: { tool: tool.name, verdict: 'permit', rule: verdict.rule, summary },
    };
  }
  return proposeEffect(context, part, call, { tool, input, terms, verdict });
}

/** The answer is paid for: a policy that cannot be asked now is asked again at the send, behind a human. */
export async function preScreen(
  context: CallContext,
  tool: Pick<AnyTool, 'name' | 'contract'>,
  input: Json,
  amount: EffectIntent['amount'],
): Promise<PolicyVerdict> {
  const { registered, address, runKey, requester } = context;
  try {
    return await askPolicy(registered.policy, {
      tenant: address.tenant,
      agent: registered.agent.name,
      tool: tool.name,
      contract: tool.contract,
      arguments: input,
      amount: amount ?? undefined,
      runKey,
      isTainted: false,
      requester,
    });
  } catch (error) {
    const message = messageOfThrown(error);
    return { kind: 'approve', rule: 'pawl:policy-unavailable', message };
  }
}

interface Judged {
  readonly tool: AnyTool;
  readonly input: CarriedInput;
  readonly terms: CallTerms;
  readonly verdict: PolicyVerdict;
}

function proposeEffect(
  context: CallContext,
  part: ToolCallPart,
  call: string,
  { tool, input, terms, verdict }: Judged,
): Proposal {
  const intent = toIntent(tool, { ...context.address, call }, context.runKey, input, terms);
  const approval =
    verdict.kind === 'approve' ? draftApproval(context, tool, intent, verdict) : undefined;
  const expiresAtMs = Date.now() + context.registered.agent.approvalExpiryMs;
  return {
    part,
    call,
    proposed: {
      tool: tool.name,
      verdict: verdict.kind,
      rule: verdict.rule,
      summary: terms.summary,
      effect: intent.shortId,
      ...(approval ? { approval: { id: approval.id, expiresAtMs } } : {}),
    },
    intent,
    ...(approval ? { approval } : {}),
  };
}

/** What an intent fixes of its tool and of its arguments. */
export function termsOf(
  tool: AnyTool,
  { stored, fingerprint }: Pick<CarriedInput, 'stored' | 'fingerprint'>,
): Pick<
  EffectIntent,
  | 'tool'
  | 'contract'
  | 'keyRetentionMs'
  | 'hasProbe'
  | 'settleMs'
  | 'sendsMax'
  | 'fingerprint'
  | 'arguments'
> {
  return {
    tool: tool.name,
    contract: tool.contract,
    keyRetentionMs: tool.keyRetentionMs ?? null,
    hasProbe: tool.declaration.probe !== undefined,
    settleMs: probeOf(tool)?.settleMs ?? null,
    sendsMax: tool.sendsMax,
    fingerprint,
    arguments: stored,
  };
}

/** The intent of an effect at an address; the same for an agent's call and a plain workflow's step. */
export function toIntent(
  tool: AnyTool,
  address: EffectAddress,
  runKey: string,
  input: Pick<CarriedInput, 'stored' | 'fingerprint'>,
  { identityHash, amount, summary }: CallTerms,
  workflowId: string = runKey,
): EffectIntent {
  const id = effectId(address);
  return {
    tenant: address.tenant,
    id,
    shortId: shortId('ef', id),
    runKey,
    rootKey: address.rootKey,
    turn: address.turn,
    call: address.call,
    generation: address.generation,
    workflowId,
    ...termsOf(tool, input),
    summary,
    amount,
    identityHash,
    approvalId: null,
    compensates: null,
  };
}

/** A fresh approval for an effect; its id depends on the nonce, so asking again is another approval. */
export function draftApproval(
  { registered }: Pick<CallContext, 'registered'>,
  tool: AnyTool,
  intent: Pick<EffectIntent, 'id'>,
  { rule, requirement = 'any approver' }: Pick<PolicyVerdict, 'rule' | 'requirement'>,
): ApprovalDraft {
  const nonce = randomBytes(16).toString('hex');
  return {
    id: shortId('ap', `${intent.id} ${nonce}`),
    effectId: intent.id,
    rule,
    requirement,
    toolPin: toolPin(tool),
    nonce,
    expiresInMs: registered.agent.approvalExpiryMs,
  };
}

/** What the model is told at once, in place of a result. */
export function refuse(
  part: ToolCallPart,
  call: string,
  verdict: 'invalid' | 'forbid',
  code: string,
  message: string,
): Proposal {
  const summary =
    `${part.name} · ${verdict === 'forbid' ? 'forbidden' : 'invalid'}: ${message}`.slice(0, 120);
  const rule = verdict === 'forbid' ? code : 'pawl:arguments';
  return {
    part,
    call,
    proposed: { tool: part.name, verdict, rule, summary },
    refusal: { code: verdict === 'forbid' ? 'forbidden' : code, message },
  };
}

/** The arguments of a call under a schema; whatever is wrong with them is said in words for the model. */
export async function carryArguments(
  schema: AnyTool['input'],
  { malformed, problem: unread, arguments: given }: ToolCallPart,
): ReturnType<typeof carryInput> {
  if (malformed !== undefined) {
    const why = unread ?? `the arguments are not JSON: ${malformed.slice(0, 200)}`;
    return { kind: 'invalid', problem: why };
  }
  const problem = storageProblem(given);
  return problem === undefined ? carryInput(schema, given) : { kind: 'invalid', problem };
}

/** Why JSON cannot be stored as it is; undefined when it can. Never throws. */
export function storageProblem(given: Json): string | undefined {
  try {
    if (JSON.stringify(toStorable(given)) === JSON.stringify(given)) return undefined;
    return 'the arguments hold a NUL or half of a surrogate pair, which cannot be stored';
  } catch (error) {
    return `the arguments cannot be stored: ${describeThrown(error)}`;
  }
}

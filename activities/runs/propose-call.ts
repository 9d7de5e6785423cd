// Turns one proposed tool call into rows: arguments parsed, policy pre-screened, effect and approval prepared.
import { randomBytes } from 'node:crypto';
import { effectId } from '../../domain/rules/ids.ts';
import type { EffectAddress } from '../../domain/rules/ids.ts';
import type { Json } from '../../domain/rules/json.ts';
import { formatAmount } from '../../domain/rules/money.ts';
import type { PolicyVerdict } from '../../domain/rules/policy.ts';
import type { ProposedCall } from '../../domain/rules/run.ts';
import type { ToolCallPart } from '../../domain/rules/transcript.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { fingerprint, shortId, toJson } from '../effects/fingerprint.ts';
import type { EffectIntent } from '../ledger/effect-ledger.ts';
import { toStorable } from '../ledger/storable.ts';
import { PolicyUnavailableError } from '../policy/policy.ts';
import { type RegisteredAgent, toolPin } from './agent-registry.ts';

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

/** Judges one call. Whatever is wrong with it goes back to the model, never up as an error. */
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
  const problem = argumentsProblem(tool.input, part);
  if (problem) return refuse(part, call, 'invalid', 'invalid_arguments', problem);
  const input = toJson(tool.input.parse(part.arguments));
  const amount = tool.declaration.amount?.(input) ?? null;
  const verdict = await preScreen(context, tool, input, amount);
  if (verdict.kind === 'forbid') {
    const why = verdict.message ?? `forbidden by rule ${verdict.rule}`;
    return refuse(part, call, 'forbid', verdict.rule, why);
  }
  const summary = summarise(tool, input, amount);
  if (tool.contract === 'read') {
    return {
      part,
      call,
      proposed: { tool: tool.name, verdict: 'permit', rule: verdict.rule, summary },
    };
  }
  return proposeEffect(context, part, call, { tool, input, amount, verdict, summary });
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
    return await registered.policy.evaluate({
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
    if (!(error instanceof PolicyUnavailableError)) throw error;
    return { kind: 'approve', rule: 'pawl:policy-unavailable', message: error.message };
  }
}

interface Judged {
  readonly tool: AnyTool;
  readonly input: Json;
  readonly amount: EffectIntent['amount'];
  readonly verdict: PolicyVerdict;
  readonly summary: string;
}

function proposeEffect(
  context: CallContext,
  part: ToolCallPart,
  call: string,
  { tool, input, amount, verdict, summary }: Judged,
): Proposal {
  const intent = toIntent(
    tool,
    { ...context.address, call },
    context.runKey,
    input,
    summary,
    amount,
  );
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
      summary,
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
  input: Json,
): Pick<
  EffectIntent,
  'tool' | 'contract' | 'keyRetentionMs' | 'hasProbe' | 'sendsMax' | 'fingerprint' | 'arguments'
> {
  return {
    tool: tool.name,
    contract: tool.contract,
    keyRetentionMs: tool.keyRetentionMs ?? null,
    hasProbe: tool.declaration.probe !== undefined,
    sendsMax: tool.sendsMax,
    fingerprint: fingerprint(input),
    arguments: input,
  };
}

/** The intent of an effect at an address; the same for an agent's call and a plain workflow's step. */
export function toIntent(
  tool: AnyTool,
  address: EffectAddress,
  runKey: string,
  input: Json,
  summary: string,
  amount: EffectIntent['amount'],
  workflowId: string = runKey,
): EffectIntent {
  const id = effectId(address);
  const identity = tool.declaration.identity?.(input);
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
    identityHash: identity === undefined ? null : fingerprint(identity),
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

/** What is wrong with a call's arguments, in words for the model. */
export function argumentsProblem(schema: AnyTool['input'], part: ToolCallPart): string | undefined {
  if (part.malformed !== undefined)
    return part.problem ?? `the arguments are not JSON: ${part.malformed.slice(0, 200)}`;
  if (JSON.stringify(toStorable(part.arguments)) !== JSON.stringify(part.arguments)) {
    return 'the arguments hold a NUL or half of a surrogate pair, which cannot be stored';
  }
  const parsed = schema.safeParse(part.arguments);
  if (parsed.success) return undefined;
  return parsed.error.issues
    .map(({ path, message }) => `${path.join('.') || 'arguments'}: ${message}`)
    .join('; ');
}

/** One line for the UI and the inbox, such as `pay_invoice INV-7 · EUR 20.00 · keyed`. */
export function summarise(tool: AnyTool, input: Json, amount: EffectIntent['amount']): string {
  const identity = tool.declaration.identity?.(input).slice(-1)[0];
  const what = identity === undefined ? tool.name : `${tool.name} ${identity}`;
  const money = amount ? [formatAmount(amount)] : [];
  return [what, ...money, tool.contract].join(' · ').slice(0, 120);
}

// `why`: everything that led to one effect, from the model's words to the last fact, in one value.
import type { Part } from '../domain/rules/transcript.ts';
import type { Json } from '../domain/rules/json.ts';
import { type ApprovalView, listApprovals } from './approval-views.ts';
import { type CallbackView, listCallbacks } from './callbacks.ts';
import type { ClientContext } from './context.ts';
import { type EffectView, findEffect } from './effect-views.ts';
import { UnknownIdError } from './errors.ts';
import { resolveId } from './ids.ts';
import {
  type CallView,
  findRun,
  listCalls,
  findTurn,
  readTranscript,
  type RunView,
  type TurnView,
} from './run-views.ts';
import { listSettlements, type SettlementView } from './settle-effect.ts';

export interface FactView {
  readonly ordinal: number;
  readonly kind: string;
  readonly source: string;
  readonly attempt: number | null;
  readonly fence: number | null;
  readonly data: Readonly<Record<string, Json>>;
  readonly at: Date;
}

/** The frozen bytes of the one write. */
export interface RequestView {
  readonly method: string;
  readonly url: string;
  /** Values of secret headers are replaced by `[redacted]`. */
  readonly headers: readonly (readonly [string, string])[];
  /** Text where the bytes are UTF-8, else base64. */
  readonly body: string;
  readonly bodyEncoding: 'utf8' | 'base64';
  readonly createdAt: Date;
}

export interface EffectExplanation {
  readonly effect: EffectView;
  /** Null for an effect of a plain workflow. */
  readonly run: RunView | null;
  readonly agentHash: string | null;
  readonly turn: TurnView | null;
  /** What the model said beside the call; null when it said nothing. */
  readonly modelText: string | null;
  readonly call: (CallView & { readonly policyHash: string }) | null;
  readonly approvals: readonly ApprovalView[];
  readonly settlements: readonly SettlementView[];
  /** What the receiver has said by callback. */
  readonly callbacks: readonly CallbackView[];
  readonly facts: readonly FactView[];
  readonly request: RequestView | null;
  /** The effect that had already done this. */
  readonly sameAs: EffectView | null;
  /** Other effects with the same identity, in any run, the oldest first. */
  readonly siblings: readonly EffectSibling[];
  /** Of which lists there is more: of facts the last ones are here, of siblings the first ones. */
  readonly cut: readonly ('facts' | 'siblings')[];
}

export interface EffectSibling {
  readonly effect: string;
  readonly runKey: string;
  readonly status: string;
  readonly holdsIdentity: boolean;
  readonly createdAt: Date;
}

/** Everything that led to the effect that `typed` names. */
export async function explainEffect(
  context: ClientContext,
  typed: string,
): Promise<EffectExplanation> {
  const shortId = await resolveId(context, 'effect', typed);
  const effect = await findEffect(context, shortId);
  if (!effect) throw new UnknownIdError('effect', typed, context.tenant);
  const { runKey, turn } = effect;
  const [run, agentHash, modelTurn, [call], texts] = await Promise.all([
    findRun(context, runKey),
    readAgentHash(context, runKey),
    findTurn(context, effect),
    listCalls(context, runKey, { of: effect }),
    readTranscript(context, runKey, turn),
  ]);
  const [approvals, settlements, callbacks, facts, request, sameAs, siblings] = await Promise.all([
    listApprovals(context, { effectId: effect.id }),
    listSettlements(context, effect.id),
    listCallbacks(context, effect),
    listFacts(context, effect.id),
    readRequest(context, effect.id),
    effect.sameAs === null ? undefined : findEffect(context, effect.sameAs),
    listSiblings(context, effect),
  ]);
  return {
    effect,
    run: run ?? null,
    agentHash,
    turn: modelTurn ?? null,
    modelText: toModelText(
      texts.filter(({ role }) => role === 'assistant').map(({ parts }) => parts),
    ),
    call: call ? { ...call, policyHash: await readPolicyHash(context, call, runKey) } : null,
    approvals,
    settlements,
    callbacks,
    facts: facts.slice(-FACTS_MAX),
    request: request ?? null,
    sameAs: sameAs ?? null,
    siblings: siblings.slice(0, SIBLINGS_MAX),
    cut: [
      ...(facts.length > FACTS_MAX ? (['facts'] as const) : []),
      ...(siblings.length > SIBLINGS_MAX ? (['siblings'] as const) : []),
    ],
  };
}

function toModelText(messages: readonly Json[]): string | null {
  const parts = messages.flatMap((parts) =>
    Array.isArray(parts) ? (parts as readonly Part[]) : [],
  );
  const text = parts.map((part) => (part.kind === 'text' ? part.text : '')).join('\n');
  return text.trim() === '' ? null : text.trim();
}

async function readAgentHash(
  { database, tenant }: ClientContext,
  runKey: string,
): Promise<string | null> {
  const [row] = await database.query<{ hash: string | null }>(
    'select agent_hash as hash from pawl.runs where tenant = $1 and run_key = $2',
    [tenant, runKey],
  );
  return row?.hash ?? null;
}

async function readPolicyHash(
  { database, tenant }: ClientContext,
  { turn, generation, call }: CallView,
  runKey: string,
): Promise<string> {
  const [row] = await database.query<{ hash: string }>(
    `select policy_hash as hash from pawl.calls
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4 and call = $5`,
    [tenant, runKey, turn, generation, call],
  );
  return row?.hash ?? '';
}

const FACTS_MAX = 1_000;
const SIBLINGS_MAX = 50;

/** The last ones, in order, and one more where there is more. */
async function listFacts(
  { database, tenant }: ClientContext,
  effectId: string,
): Promise<FactView[]> {
  const rows = await database.query<FactView>(
    `select ordinal, kind, source, attempt, fence, data, at from pawl.effect_facts
     where tenant = $1 and effect_id = $2 order by ordinal desc limit $3`,
    [tenant, effectId, FACTS_MAX + 1],
  );
  return rows.reverse();
}

function listSiblings(context: ClientContext, effect: EffectView): Promise<EffectSibling[]> {
  if (effect.identityHash === null) return Promise.resolve([]);
  return context.database.query<EffectSibling>(
    `select short_id as effect, run_key as "runKey", status, holds_identity as "holdsIdentity",
       created_at as "createdAt"
     from pawl.effects
     where tenant = $1 and tool = $2 and identity_hash = $3 and id <> $4
     order by created_at limit $5`,
    [context.tenant, effect.tool, effect.identityHash, effect.id, SIBLINGS_MAX + 1],
  );
}

interface RequestRow {
  readonly method: string;
  readonly url: string;
  /** A text where it is encrypted and no keys are configured. */
  readonly headers:
    string | readonly (readonly [string, string])[] | Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly createdAt: Date;
}

async function readRequest(
  { database, tenant }: ClientContext,
  effectId: string,
): Promise<RequestView | undefined> {
  const [row] = await database.query<RequestRow>(
    `select method, url, headers, body, created_at as "createdAt"
     from pawl.effect_requests where tenant = $1 and effect_id = $2`,
    [tenant, effectId],
  );
  if (!row) return undefined;
  const headers = typeof row.headers === 'string' ? [] : row.headers;
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
  const text = row.body.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(row.body);
  return {
    method: row.method,
    url: row.url,
    headers: pairs.map(([name, value]) => [name, isSecret(name) ? '[redacted]' : value] as const),
    body: isText ? text : row.body.toString('base64'),
    bodyEncoding: isText ? 'utf8' : 'base64',
    createdAt: row.createdAt,
  };
}

/** Headers that a receiver could be entered with; the idempotency key is none. */
export function isSecret(header: string): boolean {
  if (/^idempotency-key$/i.test(header)) return false;
  return /authori[sz]ation|cookie|secret|token|signature|password|api-?key|-key$/i.test(header);
}

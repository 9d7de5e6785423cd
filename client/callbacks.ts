// What receivers say later: one row per message of theirs. The engine makes facts of the rows; nothing here changes an effect.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type BodyOwner, jsonBody, textBody } from '../activities/encryption/encryption.ts';
import type { Json } from '../domain/rules/json.ts';
import type { ClientContext } from './context.ts';
import { ArgumentInvalidError, CallbackConflictError } from './errors.ts';

/** What a receiver says of one effect. */
export interface CallbackReading {
  /** The key that the effect was sent with: the surest way to name it. One of this and `reference` is needed. */
  readonly idempotencyKey?: string | undefined;
  /** The receiver's own name, as `pending(reference)` was given it. Counts only where no key is given. */
  readonly reference?: string | undefined;
  /** `refused`: the receiver did not do it and will not. */
  readonly outcome: 'applied' | 'refused';
  /** What the tool would have returned; only for `applied`. Not checked against the tool's schema. @default null */
  readonly output?: Json | undefined;
  /** Of a refusal, such as `account_closed`. @default 'refused' */
  readonly code?: string | undefined;
  /** Of a refusal, in words. @default the code */
  readonly message?: string | undefined;
}

/** One message of a receiver. Who passes it on has verified where it comes from. */
export interface CallbackMessage extends CallbackReading {
  /** Whose effect it is. */
  readonly tool: string;
  /** The receiver's id of this message: the same one again is the same message. At most 256 characters. */
  readonly id: string;
  /** @default the client's */
  readonly tenant?: string | undefined;
}

export interface CallbackAnswer {
  /** `duplicate`: it was stored before. */
  readonly kind: 'accepted' | 'duplicate';
  /** `ef_…`; null while no effect is known that it could mean: it is kept, and matched when there is one. */
  readonly effect: string | null;
}

const text = (max: number): z.ZodString => z.string().min(1).max(max);
const messageSchema = z
  .strictObject({
    tool: text(64),
    id: text(256),
    tenant: text(256).optional(),
    idempotencyKey: text(256).optional(),
    reference: text(256).optional(),
    outcome: z.enum(['applied', 'refused']),
    output: z.json().optional(),
    code: text(256).optional(),
    message: text(4_000).optional(),
  })
  .refine((given) => given.idempotencyKey !== undefined || given.reference !== undefined, {
    path: ['idempotencyKey'],
    error: 'idempotencyKey or reference is needed: which effect is meant?',
  })
  .refine((given) => given.outcome === 'applied' || given.output === undefined, {
    path: ['output'],
    error: 'what was refused has no output',
  });

/** Stores the message, once, and wakes the workflow of its effect. */
export async function receiveCallback(
  context: ClientContext,
  given: CallbackMessage,
): Promise<CallbackAnswer> {
  const message = parseMessage(given);
  const tenant = message.tenant ?? context.tenant;
  const kind = await storeMessage(context, tenant, message);
  // Looked for behind the commit: who records the reference at this very moment looks for the row behind theirs.
  const effect = await findMeant(context, tenant, message);
  // What was told before has woken, too; the reconciler wakes where that was lost.
  if (kind === 'accepted' && effect?.workflowId) await wakeSoon(context, effect, message.id);
  return { kind, effect: effect?.effect ?? null };
}

function parseMessage(given: CallbackMessage): CallbackMessage {
  const parsed = messageSchema.safeParse(given);
  if (parsed.success) return parsed.data as CallbackMessage;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new ArgumentInvalidError(`The callback cannot be read: ${problems.join('; ')}.`);
}

async function storeMessage(
  context: ClientContext,
  tenant: string,
  message: CallbackMessage,
): Promise<CallbackAnswer['kind']> {
  const { database } = context;
  const owner = await findOwner(context, tenant, message);
  const { tool, id, idempotencyKey, reference, outcome, output, code } = message;
  const inserted = await database.query(
    `insert into pawl.callbacks (tenant, tool, id, wire_key, reference, outcome, output, code, message)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (tenant, tool, id) do nothing returning id`,
    [
      ...[tenant, tool, id, idempotencyKey ?? null, reference ?? null, outcome].map(toText),
      jsonBody(owner, 'callbacks.output', output === undefined ? undefined : toStored(output)),
      toText(code ?? null),
      textBody(owner, 'callbacks.message', toText(message.message ?? null)),
    ],
  );
  if (inserted.length > 0) return 'accepted';
  const [first] = await database.query<{
    key: string | null;
    reference: string | null;
    outcome: string;
  }>(
    `select wire_key as key, reference, outcome from pawl.callbacks
     where tenant = $1 and tool = $2 and id = $3`,
    [tenant, tool, id].map(toText),
  );
  const isSame =
    first?.outcome === outcome &&
    first.key === toText(idempotencyKey ?? null) &&
    first.reference === toText(reference ?? null);
  if (first && !isSame) throw new CallbackConflictError(tool, id, first.outcome, outcome);
  return 'duplicate';
}

/** What PostgreSQL can hold: receivers choose their texts, and no message may be lost to one. */
function toText(value: string | null): string | null {
  if (value === null) return null;
  // UTF-8 has no half surrogate pairs: encoding replaces them.
  return Buffer.from(value, 'utf8').toString('utf8').replaceAll('\u0000', '\ufffd');
}

function toStored(output: Json): Json {
  const text = JSON.stringify(output, (_key, value: unknown) => {
    if (typeof value === 'string') return toText(value);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [toText(key), each]));
  });
  return JSON.parse(text) as Json;
}

/** The run whose key seals it; where no effect is known yet, the tool has one. */
async function findOwner(
  context: ClientContext,
  tenant: string,
  message: CallbackMessage,
): Promise<BodyOwner> {
  const meant = context.keys ? await findMeant(context, tenant, message) : undefined;
  return { tenant, runKey: meant?.runKey ?? `(callbacks of ${message.tool})` };
}

interface MeantEffect {
  readonly runKey: string;
  readonly effect: string;
  readonly workflowId: string | null;
}

/** By the key when there is one, else by the reference when exactly one effect has it: as the engine matches them. */
async function findMeant(
  { database }: ClientContext,
  tenant: string,
  { tool, idempotencyKey, reference }: CallbackMessage,
): Promise<MeantEffect | undefined> {
  const column = idempotencyKey === undefined ? 'receiver_reference' : 'wire_key';
  const found = await database.query<MeantEffect>(
    `select run_key as "runKey", short_id as effect, workflow_id as "workflowId" from pawl.effects
     where tenant = $1 and tool = $2 and ${column} = $3 limit 2`,
    [tenant, tool, idempotencyKey ?? reference ?? null].map(toText),
  );
  return found.length === 1 ? found[0] : undefined;
}

/** A receiver waits for our answer: longer than this nobody waits for Temporal. */
const WAKE_PATIENCE_MS = 2_000;

/** The row is the authority: what does not wake now is woken by the reconciler. */
async function wakeSoon(
  { temporal }: ClientContext,
  { effect, workflowId }: MeantEffect,
  callback: string,
): Promise<void> {
  const message = { v: 1, effect, settlement: callback } as const;
  const waking = temporal.wake(workflowId ?? '', { name: 'settled', message });
  const isOver = new AbortController();
  const patience = sleep(WAKE_PATIENCE_MS, undefined, { signal: isOver.signal });
  await Promise.race([waking.catch(() => undefined), patience]);
  isOver.abort();
  patience.catch(() => undefined);
}

/** A message that a receiver has sent about an effect. */
export interface CallbackView {
  readonly id: string;
  readonly idempotencyKey: string | null;
  readonly reference: string | null;
  readonly outcome: 'applied' | 'refused';
  readonly output: Json;
  readonly code: string | null;
  readonly message: string | null;
  readonly receivedAt: Date;
  /** The engine has made a fact of it. */
  readonly isTakenUp: boolean;
}

/** All messages that name the effect by its key or by its reference, oldest first. */
export function listCallbacks(
  { database, tenant }: ClientContext,
  effect: {
    readonly id: string;
    readonly tool: string;
    readonly wireKey: string;
    readonly reference: string | null;
  },
): Promise<CallbackView[]> {
  return database.query<CallbackView>(
    `select c.id, c.wire_key as "idempotencyKey", c.reference, c.outcome, c.output, c.code, c.message,
       c.received_at as "receivedAt", exists (
         select 1 from pawl.effect_facts f
         where f.tenant = c.tenant and f.effect_id = $2 and f.data->>'callback' = c.id) as "isTakenUp"
     from pawl.callbacks c
     where c.tenant = $1 and c.tool = $3 and (c.wire_key = $4 or c.reference = $5)
     order by c.received_at, c.id`,
    [tenant, effect.id, effect.tool, effect.wireKey, effect.reference],
  );
}

// A fake mailbox: a receiver with neither keys nor a probe, as most of the world is.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ArrivedRequest } from './http-server.ts';
import type { ModeKind } from './modes.ts';
import type { Draft, Operation } from './perform.ts';
import { parseBody, startReceiver } from './receiver.ts';
import type { Receiver, ReceiverOptions } from './receiver.ts';

export type MailboxOptions = ReceiverOptions;
export type Mailbox = Receiver;

// What speaks of keys, look-ups or later settlement has no meaning here.
const supportedModes: ReadonlySet<ModeKind> = new Set<ModeKind>([
  'ok',
  'slow',
  'late-commit',
  'reject-before-commit',
  '500-before',
  '500-after',
  'commit-then-hang',
  'hang-before-commit',
  'commit-then-reset',
  'reset-mid-body',
  '429',
]);

/**
 * Starts a mailbox on 127.0.0.1: `POST /messages` `{ to, subject, text }` answers 202 `{ messageId
 * }`, and nothing else.
 * An `Idempotency-Key` is ignored. The business reference of a message (for modes and receipts) is
 * its subject.
 * Admin routes as at the bank: `/_admin/modes`, `/_admin/receipts`, `/_admin/requests`.
 */
export async function startMailbox(options: MailboxOptions): Promise<Mailbox> {
  const kind = { name: 'mailbox', supportedModes, mismatchStatus: 422 as const, apply() {}, route };
  const { receiver } = await startReceiver(kind, options);
  return receiver;
}

const messageSchema = z.strictObject({
  to: z.string().min(1),
  subject: z.string().min(1),
  text: z.string(),
});

function route(request: ArrivedRequest): Operation | undefined {
  if (`${request.method} ${request.url.pathname}` !== 'POST /messages') return undefined;
  const parsed = parseBody(messageSchema, request);
  if (parsed.kind === 'answer') return parsed;
  const details = parsed.value;
  const draft = (): Draft => {
    const messageId = `msg_${randomBytes(8).toString('hex')}`;
    const answer = { status: 202, body: { messageId } };
    const effect = { receiptId: messageId, effect: 'message' as const, reference: details.subject };
    return { kind: 'effect', effect: { ...effect, details, answer } };
  };
  return { kind: 'write', reference: details.subject, keyed: false, draft };
}

// A fake bank that honours idempotency keys and can be asked afterwards; it never deduplicates by
// reference.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { createBankBook } from './bank-book.ts';
import type { BankBook, BookedTransfer, Transfer } from './bank-book.ts';
import type { ArrivedRequest } from './http-server.ts';
import { modeKinds } from './modes.ts';
import type { ActiveMode } from './modes.ts';
import { refusal } from './perform.ts';
import type { Draft, Operation } from './perform.ts';
import { parseBody, startReceiver } from './receiver.ts';
import type { Receiver, ReceiverHandle, ReceiverOptions } from './receiver.ts';
import type { Answer, EffectLine, Json } from './receipts-log.ts';
import { createWebhookSender } from './webhooks.ts';
import type { WebhookDelivery, WebhookForgery, WebhookTarget } from './webhooks.ts';

export type { Transfer, WebhookDelivery, WebhookForgery, WebhookTarget };

export interface BankOptions extends ReceiverOptions {
  /** The status for a known key with another request. Default 422. */
  mismatchStatus?: 409 | 422;
}

export interface Bank extends Receiver {
  /** Does the pending transfers of a reference now; returns how many there were. */
  settlePending(reference: string): number;
  /** Gives the pending transfers of a reference up: never done, no receipt; returns how many there were. */
  rejectPending(reference: string): number;
  /**
   * From now on each pending transfer that is done or given up is told there, until a 2xx; undefined: nobody is told.
   * Not kept over a restart.
   */
  sendWebhooksTo(target: WebhookTarget | undefined): void;
  /** Sends a message about each transfer of a reference by hand, once; resolves to the statuses. */
  announce(reference: string, options?: AnnounceOptions): Promise<Array<number | null>>;
  /** Every try to deliver a webhook, oldest first. */
  webhookDeliveries(): WebhookDelivery[];
}

export interface AnnounceOptions extends WebhookForgery {
  /** What it claims. Default: how the transfer stands. */
  status?: Transfer['status'] | undefined;
  /** Default: a new one. */
  id?: string | undefined;
  /** How many times, at once. Default 1. */
  copies?: number | undefined;
}

/**
 * Starts a bank on 127.0.0.1. Its state is its log: started again on the same file it knows its
 * transfers and keys.
 *
 * - `POST /transfers` `{ reference, payee, amountMinor, currency }`, `Idempotency-Key` optional:
 *   201 `{ transferId, reference, status }`
 * - `GET /transfers?reference=`: 200, the transfers of this reference, empty when there are none;
 *   `GET /transfers/:id`
 * - `POST /transfers/:id/cancellations`, keyed too: 201 `{ cancellationId, transferId, reference,
 *   status }`
 * - `GET /receipts`: the statement
 *
 * An error body is `{ error: { code, message, executed? } }`; `executed: false` promises that
 * nothing was done.
 * A pending transfer that is done or given up is told by webhook, where somebody wants to hear it: `{ type, transferId,
 * reference, status, idempotencyKey?, error? }`, signed as Standard Webhooks 1.0 says.
 * For another process: `GET POST DELETE /_admin/modes`, `POST /_admin/settle`, `reject` and `webhooks`, `GET
 * /_admin/receipts` and `/_admin/requests`.
 */
export async function startBank(options: BankOptions): Promise<Bank> {
  const book = createBankBook();
  let handle: ReceiverHandle | undefined;
  const webhooks = createWebhookSender(async (ms) => handle?.delay(ms));
  const end = async (booked: BookedTransfer, kind: 'receipt' | 'rejection'): Promise<void> => {
    const { webhook } = booked.createdBy.details;
    handle?.commit(toEnd(booked, kind));
    if (webhook !== 'none') await webhooks.deliver({ id: newId('msg'), body: toMessage(booked) });
  };
  const settle = (booked: BookedTransfer): void => {
    end(booked, 'receipt').catch(ignoreClosing);
  };
  const reject = (booked: BookedTransfer): void => {
    end(booked, 'rejection').catch(ignoreClosing);
  };
  const settleInTime = (booked: BookedTransfer | undefined): void => {
    const { settleAtMs } = booked?.createdBy.details ?? {};
    if (!handle || !booked || typeof settleAtMs !== 'number') return;
    const due = handle.delay(Math.max(0, settleAtMs - Date.now()));
    due.then(() => isPending(booked) && settle(booked), ignoreClosing);
  };
  const endPending =
    (act: (booked: BookedTransfer) => void) =>
    (reference: string): number => {
      const pending = book.list(reference).filter(isPending);
      pending.forEach(act);
      return pending.length;
    };
  const [settlePending, rejectPending] = [endPending(settle), endPending(reject)];
  handle = await startReceiver(
    {
      name: 'bank',
      supportedModes: new Set(modeKinds),
      mismatchStatus: options.mismatchStatus ?? 422,
      route: (request) => route(book, () => handle?.receiver.receipts() ?? [], request),
      admin(command, body) {
        if (command === 'settle') return settlePending(toReference(body));
        if (command === 'reject') return rejectPending(toReference(body));
        if (command !== 'webhooks') return undefined;
        webhooks.setTarget(targetSchema.parse(body));
        return null;
      },
      async beforeAnswer({ receiptId }, mode) {
        const booked = book.find(receiptId);
        if (mode.webhook === 'early' && booked && isPending(booked)) await end(booked, 'receipt');
      },
      apply(line) {
        book.apply(line);
        if (line.kind === 'acceptance') settleInTime(book.find(line.receiptId));
      },
    },
    options,
  );
  book.list().filter(isPending).forEach(settleInTime);
  return {
    ...handle.receiver,
    settlePending,
    rejectPending,
    sendWebhooksTo: webhooks.setTarget,
    announce(reference, { status, id, copies = 1, ...forgery } = {}) {
      const messages = book.list(reference).map((booked) => ({
        id: id ?? newId('msg'),
        body: toMessage(booked, status),
      }));
      const all = messages.flatMap((message) => Array.from({ length: copies }, () => message));
      return Promise.all(all.map((message) => webhooks.post(message, forgery)));
    },
    webhookDeliveries: webhooks.deliveries,
  };
}

const targetSchema = z.strictObject({ url: z.string(), secret: z.string() });

function toMessage({ transfer, createdBy }: BookedTransfer, status = transfer.status): Json {
  const { transferId, reference } = transfer;
  const { idempotencyKey } = createdBy;
  const rejected = { code: 'account_closed', message: 'The account of the payee is closed.' };
  return {
    ...{ type: `transfer.${status}`, transferId, reference, status },
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...(status === 'rejected' && { error: rejected }),
  };
}

function isPending({ transfer }: BookedTransfer): boolean {
  return transfer.status === 'pending';
}

// A delay rejects only because the bank closes: the transfer stays pending in the log.
function ignoreClosing(): void {}

function toReference(body: unknown): string {
  return z.object({ reference: z.string() }).parse(body).reference;
}

function toEnd(
  { createdBy, transfer }: BookedTransfer,
  kind: 'receipt' | 'rejection',
): Parameters<ReceiverHandle['commit']>[0] {
  const { v: _, receiver: __, keyFingerprint: ___, requestSeq: ____, ...effect } = createdBy;
  const status = kind === 'receipt' ? 'applied' : 'rejected';
  const answer = { status: 200, body: { ...transfer, status } };
  return { ...effect, kind, atMs: Date.now(), answer };
}

function route(
  book: BankBook,
  receipts: () => EffectLine[],
  request: ArrivedRequest,
): Operation | undefined {
  const [, room, id, action, ...rest] = request.url.pathname.split('/');
  const shape = [id && 'id', action, ...rest].filter((part) => part !== undefined).join('/');
  switch (`${request.method} ${room}${shape && `/${shape}`}`) {
    case 'POST transfers':
      return createTransfer(request);
    case 'GET transfers':
      return lookUp(book, request.url.searchParams.get('reference'));
    case 'GET transfers/id':
      return showTransfer(book, id ?? '');
    case 'POST transfers/id/cancellations':
      return cancelTransfer(book, id ?? '');
    case 'GET receipts':
      return { kind: 'read', read: () => ok(receipts() as unknown as Json) };
    default:
      return undefined;
  }
}

function ok(body: Json): Answer {
  return { status: 200, body };
}

const transferSchema = z.strictObject({
  reference: z.string().min(1),
  payee: z.string().min(1),
  amountMinor: z.number().int().positive(),
  currency: z.string().regex(/^[A-Z]{3}$/),
});

function createTransfer(request: ArrivedRequest): Operation {
  const parsed = parseBody(transferSchema, request);
  if (parsed.kind === 'answer') return parsed;
  const { reference, payee, amountMinor, currency } = parsed.value;
  const draft = (mode: ActiveMode): Draft => {
    const transferId = newId('tr');
    const pending = mode.kind === 'pending';
    const settles = pending && mode.delayMs !== undefined;
    const details = {
      payee,
      ...(settles && { settleAtMs: Date.now() + (mode.delayMs ?? 0) }),
      ...(pending && mode.webhook !== undefined && { webhook: mode.webhook }),
    };
    const body = { transferId, reference, status: pending ? 'pending' : 'applied' };
    const answer = { status: pending ? 202 : 201, body };
    const effect = { receiptId: transferId, effect: 'transfer' as const, reference, amountMinor };
    return { kind: 'effect', effect: { ...effect, currency, details, answer } };
  };
  return { kind: 'write', reference, keyed: true, draft };
}

function newId(prefix: string): string {
  return `${prefix}_${randomBytes(8).toString('hex')}`;
}

function lookUp(book: BankBook, reference: string | null): Operation {
  if (!reference) {
    const message = 'Give the business reference: GET /transfers?reference=…';
    return { kind: 'answer', answer: refusal(400, 'reference_missing', message, false) };
  }
  const read = (mode: ActiveMode): Answer => {
    const seenUntilMs =
      mode.kind === 'stale-lookup' ? Date.now() - (mode.delayMs ?? 1_000) : Infinity;
    const seen = book.list(reference).filter(({ bookedAtMs }) => bookedAtMs <= seenUntilMs);
    return ok(seen.map(({ transfer }) => ({ ...transfer })));
  };
  return { kind: 'read', reference, read };
}

function showTransfer(book: BankBook, transferId: string): Operation {
  const booked = book.find(transferId);
  const read = (): Answer => (booked ? ok({ ...booked.transfer }) : noTransfer(transferId));
  return { kind: 'read', reference: booked?.transfer.reference, read };
}

function noTransfer(transferId: string): Answer {
  return refusal(404, 'no_such_transfer', `There is no transfer ${transferId}.`, false);
}

function cancelTransfer(book: BankBook, transferId: string): Operation {
  const reference = book.find(transferId)?.transfer.reference;
  const draft = (): Draft => {
    const transfer = book.find(transferId)?.transfer;
    if (!transfer) return { kind: 'refusal', answer: noTransfer(transferId) };
    if (transfer.status !== 'applied') {
      const message = `${transferId} is ${transfer.status}: only an applied transfer can be cancelled.`;
      return { kind: 'refusal', answer: refusal(400, 'not_cancellable', message, false) };
    }
    const cancellationId = newId('cx');
    const body = { cancellationId, transferId, reference: transfer.reference, status: 'cancelled' };
    const { amountMinor, currency } = transfer;
    const effect = { receiptId: cancellationId, effect: 'cancellation' as const };
    const rest = { reference: transfer.reference, amountMinor, currency, details: { transferId } };
    return { kind: 'effect', effect: { ...effect, ...rest, answer: { status: 201, body } } };
  };
  return { kind: 'write', reference, keyed: true, draft };
}

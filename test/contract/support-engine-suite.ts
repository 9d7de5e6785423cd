// One engine on one ledger with one bank and one mailbox for a test file, and the few things that every case does.
import { afterAll, beforeAll } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { EffectIntent } from '../../activities/ledger/effect-ledger.ts';
import { type Bank, startBank } from '../../devstack/receivers/bank.ts';
import { type Mailbox, startMailbox } from '../../devstack/receivers/mailbox.ts';
import type { RequestLine } from '../../devstack/receivers/receipts-log.ts';
import { AmbiguousAnswer } from '../../domain/schemas/http-effect.ts';
import type { ToolContext } from '../../domain/schemas/tool-context.ts';
import { type Bench, createBench } from '../../testing/effect-ledger-fixture.ts';
import { createScratch, type Scratch } from '../unit/receivers-support.ts';
import {
  bankTool,
  createEngineBench,
  type EngineBench,
  intentOf,
  KEY,
  type Payment,
  type PaymentOptions,
  type PaymentTool,
  paymentTool,
  type Receipt,
} from './support-engine.ts';
import { createLedgerBench, type LedgerBench } from './support-ledger.ts';

type Run = (input: Payment, ctx: ToolContext) => Promise<Receipt>;

/** One effect with a business reference of its own. */
export interface Case {
  readonly reference: string;
  readonly intent: EffectIntent;
}

interface Parts {
  readonly under: LedgerBench;
  readonly ledger: Bench;
  readonly engine: EngineBench;
  readonly bank: Bank;
  readonly mailbox: Mailbox;
}

/** What a test file has; the parts are there once its tests run. */
export interface EngineSuite extends Parts {
  readonly scratch: Scratch;
  /** A keyed payment at the bank, with code of its own when given. */
  keyed(run?: Run, more?: PaymentOptions): PaymentTool;
  /** A transfer to the bank by hand, through `ctx.fetch`. */
  send(ctx: ToolContext, body: string): Promise<Receipt>;
  /** The bank knows the key then, with another body. */
  takeKey(wireKey: string): Promise<void>;
  /** The writes that arrived at bank or mailbox, by their own logs. */
  writesOf(reference: string): readonly RequestLine[];
  /** How often bank or mailbox did it, by their own logs. */
  receiptsOf(reference: string): number;
}

/** Declares the set-up and the clean-up of the calling test file. */
export function useEngine(): EngineSuite {
  const scratch = createScratch();
  const parts = {} as { -readonly [Name in keyof Parts]: Parts[Name] };
  beforeAll(async () => {
    parts.under = await createLedgerBench();
    parts.ledger = createBench(parts.under);
    parts.engine = createEngineBench(parts.under);
    parts.bank = scratch.closing(await startBank({ logFile: scratch.logFile() }));
    parts.mailbox = scratch.closing(await startMailbox({ logFile: scratch.logFile() }));
  });
  afterAll(async () => {
    await scratch.cleanUp();
    await parts.under.close();
  });
  const both = (): readonly (Bank | Mailbox)[] => [parts.bank, parts.mailbox];
  return Object.assign(parts, {
    scratch,
    keyed: (run?: Run, more: PaymentOptions = {}) =>
      bankTool(parts.bank.url, { effect: KEY, ...more, ...(run ? { run } : {}) }),
    async send(ctx: ToolContext, body: string): Promise<Receipt> {
      const headers = { 'idempotency-key': ctx.idempotencyKey };
      const answer = await ctx.fetch(`${parts.bank.url}/transfers`, {
        method: 'POST',
        body,
        headers,
      });
      if (!answer.ok) throw new AmbiguousAnswer(answer.status, await answer.text());
      return { id: ((await answer.json()) as { transferId: string }).transferId };
    },
    async takeKey(wireKey: string): Promise<void> {
      const answer = await fetch(`${parts.bank.url}/transfers`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': wireKey },
        body: transfer(`OTHER-${wireKey}`, 999),
      });
      if (!answer.ok) throw new Error(`the bank does not take ${wireKey}: HTTP ${answer.status}`);
    },
    writesOf: (reference: string) =>
      both()
        .flatMap((receiver) => receiver.requests({ method: 'POST' }))
        .filter(({ body }) => body.includes(reference)),
    receiptsOf: (reference: string) =>
      both().flatMap((receiver) => receiver.receipts({ reference })).length,
  });
}

/** A payment without key and probe, with code of its own. */
export function onceWith(run: Run, more: PaymentOptions = {}): PaymentTool {
  return paymentTool({ run, ...more });
}

/** A new effect of a tool. */
export function newCase(tool: PaymentTool, change: Partial<EffectIntent> = {}): Case {
  const reference = `INV-${randomUUID()}`;
  return { reference, intent: intentOf(tool, { reference, cents: 100 }, change) };
}

/** The body of one transfer. */
export function transfer(reference: string, cents = 100): string {
  return JSON.stringify({ reference, payee: 'Acme', amountMinor: cents, currency: 'EUR' });
}

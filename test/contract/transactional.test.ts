// Transactional effects on a real PostgreSQL: permit, rows and outcome are one commit, and its row answers every question.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import { refused } from '../../domain/schemas/outcomes.ts';
import type { ToolContext } from '../../domain/schemas/tool-context.ts';
import { guarantee } from '../guarantee.ts';
import {
  createEngineBench,
  type EngineBench,
  intentOf,
  type Payment,
  type PaymentOptions,
  type PaymentTool,
  paymentTool,
  type Receipt,
} from './support-engine.ts';
import { createGate } from './support-gates.ts';
import { createHandClock } from './support-hand-clock.ts';
import { createLedgerBench, type LedgerBench } from './support-ledger.ts';

let under: LedgerBench;
let engine: EngineBench;

beforeAll(async () => {
  under = await createLedgerBench();
  engine = createEngineBench(under);
  await under.database.query('create table shop (reference text not null, cents integer not null)');
});
afterAll(() => under.close());

type Run = (input: Payment, ctx: ToolContext) => Promise<Receipt>;

function book(run: Run = insert, options: PaymentOptions = {}): PaymentTool {
  return paymentTool({ name: 'book', effect: { transactional: true }, run, ...options });
}

async function insert({ reference, cents }: Payment, ctx: ToolContext): Promise<Receipt> {
  await ctx.transaction.query('insert into shop (reference, cents) values ($1, $2)', [
    reference,
    cents,
  ]);
  return { id: reference };
}

const newPayment = (): Payment => ({ reference: randomUUID(), cents: 100 });

async function rowsOf({ reference }: Payment): Promise<number> {
  const rows = await under.database.query('select 1 from shop where reference = $1', [reference]);
  return rows.length;
}

async function statusOf(tenant: string, id: string): Promise<unknown> {
  const [row] = await under.database.query<{ status: string }>(
    'select status from pawl.effects where tenant = $1 and id = $2',
    [tenant, id],
  );
  return row?.status;
}

describe('a transactional effect', () => {
  guarantee(
    'S2-07',
    'done → its row and its outcome; again → the outcome, not the row',
    async () => {
      const tool = book();
      const payment = newPayment();
      const intent = intentOf(tool, payment);
      const first = await engine.perform(tool, intent);
      expect(first).toMatchObject({ kind: 'applied', output: { id: payment.reference } });
      expect(await engine.perform(tool, intent)).toEqual(first);
      expect(await rowsOf(payment)).toBe(1);
    },
  );

  guarantee(
    'transactional',
    'its connection dies before the commit → nothing; then once',
    async () => {
      let runs = 0;
      const tool = book(async (input, ctx) => {
        runs += 1;
        const receipt = await insert(input, ctx);
        if (runs === 1)
          await ctx.transaction.query('select pg_terminate_backend(pg_backend_pid())');
        return receipt;
      });
      const payment = newPayment();
      expect(await engine.perform(tool, intentOf(tool, payment))).toMatchObject({
        kind: 'applied',
      });
      expect(runs).toBe(2);
      expect(await rowsOf(payment)).toBe(1);
    },
  );

  guarantee(
    'S2-07',
    'the answer to the commit is lost → the row is read, nothing is repeated',
    async () => {
      let losses = 1;
      const ledger = await createPostgresEffectLedger(under.database, {
        crash: (point) => {
          if (point !== 'settle-commit' || losses === 0) return;
          losses -= 1;
          // The commit is on the wire, and its answer is never read.
          throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
        },
      });
      let runs = 0;
      const tool = book((input, ctx) => {
        runs += 1;
        return insert(input, ctx);
      });
      const payment = newPayment();
      const outcome = await createEngineBench({ ledger }).perform(tool, intentOf(tool, payment));
      expect(outcome).toMatchObject({ kind: 'applied' });
      expect([losses, runs, await rowsOf(payment)]).toEqual([0, 1, 1]);
    },
  );

  it('a refusal after a write → refused, and the write is gone', async () => {
    const tool = book(async (input, ctx) => {
      await insert(input, ctx);
      throw refused('out_of_stock');
    });
    const payment = newPayment();
    const outcome = await engine.perform(tool, intentOf(tool, payment));
    expect(outcome).toMatchObject({ kind: 'refused', code: 'out_of_stock' });
    expect(await rowsOf(payment)).toBe(0);
  });

  it('a tool that always throws → tried as often as its policy says, then a definite no', async () => {
    let runs = 0;
    const tool = book(
      async (input, ctx) => {
        runs += 1;
        await insert(input, ctx);
        throw new Error('a bug');
      },
      { retry: { maximumAttempts: 3 } },
    );
    const payment = newPayment();
    const outcome = await engine.perform(tool, intentOf(tool, payment));
    expect(outcome).toMatchObject({ kind: 'refused', code: 'tool_failed' });
    expect([runs, await rowsOf(payment)]).toEqual([3, 0]);
  });

  it('a violated constraint that the tool swallows → no outcome without its rows', async () => {
    const tool = book(
      async (input, ctx) => {
        await ctx.transaction.query('insert into shop values (null, 1)').catch(() => undefined);
        return { id: input.reference };
      },
      { retry: { maximumAttempts: 1 } },
    );
    const outcome = await engine.perform(tool, intentOf(tool, newPayment()));
    expect(outcome).toMatchObject({ kind: 'refused', code: 'tool_failed' });
  });

  it('a tool that commits by itself → in doubt, and never run again', async () => {
    let runs = 0;
    const tool = book(async (input, ctx) => {
      runs += 1;
      const receipt = await insert(input, ctx);
      await ctx.transaction.query('commit');
      return receipt;
    });
    const payment = newPayment();
    const intent = intentOf(tool, payment);
    const beforeRetry = (): Promise<void> => under.pass(intent, 60_000);
    const outcome = await engine.perform(tool, intent, { beforeRetry });
    expect(outcome).toMatchObject({
      kind: 'in_doubt',
      reason: expect.stringContaining('ended the transaction itself'),
    });
    expect([runs, await rowsOf(payment)]).toEqual([1, 1]);
  });

  it('a tool that outlives its time → rolled back, and its late statements are refused', async () => {
    const clock = createHandClock();
    const gate = createGate();
    let late: Promise<unknown> | undefined;
    const tool = book(
      async (input, ctx) => {
        const receipt = await insert(input, ctx);
        clock.timeIsUp();
        late = gate.pass().then(() => insert(input, ctx));
        await late;
        return receipt;
      },
      { retry: { maximumAttempts: 1 } },
    );
    const payment = newPayment();
    const { ledger } = under;
    const outcome = await createEngineBench({ ledger, clock }).perform(
      tool,
      intentOf(tool, payment),
    );
    expect(outcome).toMatchObject({ kind: 'refused', code: 'tool_failed' });
    gate.open();
    await expect(late).rejects.toThrow('This transaction has ended');
    expect(await rowsOf(payment)).toBe(0);
  });

  it('20 attempts at once → one row', async () => {
    const tool = book();
    const payment = newPayment();
    const intent = intentOf(tool, payment);
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => engine.perform(tool, intent)),
    );
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['applied']));
    expect(await rowsOf(payment)).toBe(1);
    expect(await statusOf(intent.tenant, intent.id)).toBe('applied');
  });
});

describe('hands that a tool does not have', () => {
  it('ctx.fetch in a transactional tool → a definite no that says why', async () => {
    const tool = book(
      async (_, ctx) => {
        await ctx.fetch('https://bank.example', { method: 'POST' });
        return { id: 'x' };
      },
      { retry: { maximumAttempts: 1 } },
    );
    expect(await engine.perform(tool, intentOf(tool, newPayment()))).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('ctx.transaction only'),
    });
  });

  it('ctx.transaction in any other tool → a definite no that says why', async () => {
    const tool = paymentTool({ run: insert, retry: { maximumAttempts: 1 } });
    expect(await engine.perform(tool, intentOf(tool, newPayment()))).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('transactional: true'),
    });
  });
});

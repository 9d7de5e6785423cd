// The five tools of the simulation, one per contract, all at the same receiver; transactional: rows, with two looks outside.
import { z } from 'zod';
import { Contract } from '../../domain/rules/contract.ts';
import { type AnyTool, defineTool, type ToolOptions } from '../../domain/schemas/define-tool.ts';
import { httpEffect } from '../../domain/schemas/http-effect.ts';
import { absent, found, refused } from '../../domain/schemas/outcomes.ts';
import type { ToolContext } from '../../domain/schemas/tool-context.ts';
import type { Cell } from './cells.ts';

const RECEIVER = 'https://receiver.example';
/** The table in which the transactional effect happens. */
export const RECEIPTS = 'receipts';

export interface Payment {
  readonly cents: number;
}
interface Paid {
  readonly receiptId: string;
}
type Options = Pick<ToolOptions<Payment, Paid>, 'effect' | 'run' | 'retry'>;

const send = (hasKey: boolean) =>
  httpEffect<Payment, Paid>({
    request: ({ cents }) => ({
      url: `${RECEIVER}/payments`,
      body: { cents },
      ...(hasKey ? {} : { headers: { 'idempotency-key': '' } }),
    }),
    response: (body) => body as Paid,
  });

async function ask({ read, signal }: ToolContext, path: string): Promise<unknown> {
  const answer = await read(`${RECEIVER}${path}`, { signal });
  const text = await answer.text();
  if (answer.status === 402) throw refused('declined');
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return JSON.parse(text);
}

const OPTIONS: Readonly<Record<Contract, Options>> = {
  read: {
    effect: 'read',
    async run(_input, ctx) {
      await ask(ctx, '/before');
      await ask(ctx, '/after');
      return { receiptId: 'none' };
    },
  },
  transactional: {
    effect: { transactional: true },
    async run({ cents }, ctx) {
      await ask(ctx, '/before');
      const receiptId = `row of ${ctx.idempotencyKey}`;
      const insert = `insert into ${RECEIPTS} (receipt_id, cents) values ($1, $2)`;
      await ctx.transaction.query(insert, [receiptId, cents]);
      await ask(ctx, '/after');
      return { receiptId };
    },
  },
  keyed: {
    effect: { key: { retention: '24h' } },
    retry: { maximumAttempts: 5 },
    run: send(true),
  },
  reconcilable: {
    effect: {
      async probe(_input, { read, signal }) {
        const answer = await read(`${RECEIVER}/receipts`, { signal });
        if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
        const [receipt] = (await answer.json()) as Paid[];
        return receipt ? found(receipt) : absent();
      },
    },
    run: send(false),
  },
  once: { effect: 'once', run: send(false) },
};

/** A prudent author: looks whether it was paid before, and then pays. */
const askingFirst =
  ({ run }: Options): Options['run'] =>
  async (input, ctx) => {
    await ask(ctx, '/standing');
    return run(input, ctx);
  };

const toolOf = (contract: Contract, asksFirst = false): AnyTool =>
  defineTool<Payment, Paid>({
    name: `pay_${contract}`,
    description: 'Pay.',
    input: z.object({ cents: z.number() }),
    output: z.object({ receiptId: z.string() }),
    timeout: '2s',
    ...OPTIONS[contract],
    ...(asksFirst ? { run: askingFirst(OPTIONS[contract]) } : {}),
  });

const contracts = Object.values(Contract);
const plain = new Map(contracts.map((contract) => [contract, toolOf(contract)]));
const prudent = new Map(contracts.map((contract) => [contract, toolOf(contract, true)]));

/** The tool of a cell. */
export function toolFor({ contract, mode }: Pick<Cell, 'contract' | 'mode'>): AnyTool {
  return (mode === 'asks-first' ? prudent : plain).get(contract) as AnyTool;
}

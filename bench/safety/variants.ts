// The three ways to make one payment that are compared: a bare activity, a tool under the ledger, a bare activity and a commit.
import { z } from 'zod';
import type { Database } from '../../activities/ledger/database.ts';
import { defineTool, type Tool } from '../../domain/schemas/define-tool.ts';
import { httpEffect } from '../../domain/schemas/http-effect.ts';

/** In the order in which each round runs them. */
export const Variant = { Plain: 'plain', Ledger: 'ledger', Floor: 'floor' } as const;
export type Variant = (typeof Variant)[keyof typeof Variant];
export const VARIANTS: readonly Variant[] = Object.values(Variant);

export const VARIANT_NAMES: Readonly<Record<Variant, string>> = {
  plain: 'A plain activity, no ledger',
  ledger: 'B effect() with a keyed tool',
  floor: 'C plain activity + one commit',
};

/** One value for each variant. */
export type PerVariant<T> = Readonly<Record<Variant, T>>;

export interface Transferred {
  readonly transferId: string;
}
export type TransferTool = Tool<{ reference: string }, Transferred>;

const transferred = z.object({ transferId: z.string() });
const bodyOf = (reference: string) => ({
  ...{ reference, payee: 'Bench', amountMinor: 1, currency: 'EUR' },
});

/** B: declared as a user would, with a key and an identity. */
export function transferTool(bankUrl: string): TransferTool {
  return defineTool({
    name: 'transfer',
    description: 'Transfers one cent.',
    input: z.object({ reference: z.string() }),
    output: transferred,
    effect: { key: { retention: '24h' }, identity: ({ reference }) => ['transfer', reference] },
    run: httpEffect({
      request: ({ reference }) => ({ url: `${bankUrl}/transfers`, body: bodyOf(reference) }),
      response: (body) => transferred.parse(body),
    }),
  });
}

/** A: the same request by hand, with a key of its own. */
export async function transfer(
  bankUrl: string,
  reference: string,
  send: typeof fetch = fetch,
): Promise<Transferred> {
  const answer = await send(`${bankUrl}/transfers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': reference },
    body: JSON.stringify(bodyOf(reference)),
  });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
  return transferred.parse(await answer.json());
}

export async function createStepsTable(database: Database): Promise<void> {
  await database.query('create schema if not exists bench');
  await database.query(
    'create table if not exists bench.steps (reference text primary key, output jsonb not null)',
  );
}

/** C: the step's output in one row, durable before the step ends; a single statement is its own transaction. */
export async function storeStep(
  database: Database,
  reference: string,
  output: Transferred,
): Promise<void> {
  await database.query('insert into bench.steps (reference, output) values ($1, $2)', [
    reference,
    JSON.stringify(output),
  ]);
}

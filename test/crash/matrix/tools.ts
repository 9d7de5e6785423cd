// The tools of the matrix: one per contract, variant and slot, so that cells of one process are told apart by their tool.
import { absent, defineTool, found, httpEffect, refused, type ToolContext } from 'pawl';
import { z } from 'zod';
import { LOCAL_TIMEOUT_MAX_MS } from '../../../domain/rules/effect-outcome.ts';
import type { AnyTool } from '../../../domain/schemas/define-tool.ts';
import type { Contract } from '../../../domain/rules/contract.ts';
import type { Variant } from './cells.ts';
import { pass } from './places.ts';

/** How many cells share one process. */
export const SLOTS = 6;

/** Set for the worker processes when short tools are to be `local` ones. */
export const LOCAL_TOOLS = 'CRASH_LOCAL_TOOLS';

const bankUrl = process.env['BANK_URL'] ?? '';

const order = z.object({ reference: z.string(), amountMinor: z.number().int().positive() });
type Order = z.infer<typeof order>;
const transfer = z.object({ transferId: z.string(), reference: z.string() });
type Transfer = z.infer<typeof transfer>;

interface Shape {
  readonly timeoutMs: number;
  readonly sends: number;
  readonly retention: `${number}${'h' | 's'}`;
}

const SHAPES: Readonly<Record<Variant, Shape>> = {
  plain: { timeoutMs: 2_000, sends: 16, retention: '24h' },
  few: { timeoutMs: 2_000, sends: 4, retention: '24h' },
  // Temporal dispatches again 5 s after a death: only a longer lease is still there to be waited for.
  patient: { timeoutMs: 5_300, sends: 16, retention: '24h' },
  last: { timeoutMs: 5_300, sends: 2, retention: '24h' },
  brief: { timeoutMs: 1_000, sends: 16, retention: '10s' },
  'brief-asked': { timeoutMs: 1_000, sends: 16, retention: '10s' },
};

/** The time that a tool of this variant has, in milliseconds. */
export function timeoutOf(variant: Variant): number {
  return SHAPES[variant].timeoutMs;
}

/** Whether a tool of this variant is a `local` one where such are played: it must be short. */
export function mayBeLocal(variant: Variant): boolean {
  return timeoutOf(variant) <= LOCAL_TIMEOUT_MAX_MS;
}

export function toolName(contract: Contract, variant: Variant, slot: number): string {
  return `${contract}_${variant.replace('-', '_')}_${slot}`;
}

const pay = httpEffect({
  request: (input: Order) => ({
    url: `${bankUrl}/transfers`,
    body: { ...input, payee: 'acme', currency: 'EUR' },
  }),
  response: (body) => transfer.parse(body),
});

async function probe({ reference }: Order, { read }: { readonly read: typeof fetch }) {
  const answer = await read(`${bankUrl}/transfers?reference=${encodeURIComponent(reference)}`);
  if (!answer.ok) throw new Error(`the look-up answers ${answer.status}`);
  const seen = z.array(transfer).parse(await answer.json())[0];
  return seen ? found(seen) : absent();
}

/** A look-up whose request and answer are points of their own: a read passes none of the engine's. */
const look =
  (name: string) =>
  async ({ reference, amountMinor }: Order, ctx: ToolContext): Promise<Transfer> => {
    await pass('before-send', name);
    // The amount of 1 is the look-up that the bank refuses: it names nothing to look for.
    const query = amountMinor === 1 ? '' : `?reference=${encodeURIComponent(reference)}`;
    const asking = ctx.read(`${bankUrl}/transfers${query}`, { signal: ctx.signal });
    asking.catch(() => undefined);
    await pass('mid-request', name);
    const answer = await asking;
    const text = await answer.text();
    await pass('after-send', name);
    if (answer.status === 400) throw refused('no_such_look_up');
    if (!answer.ok) throw new Error(`the look-up answers ${answer.status}`);
    return { transferId: `${(JSON.parse(text) as unknown[]).length} found`, reference };
  };

/** A row in the ledger's own database, by a function that misbehaves as the cell says (see bank-in-database.ts). */
const book =
  (name: string) =>
  async ({ reference, amountMinor }: Order, ctx: ToolContext): Promise<Transfer> => {
    const asking = ctx.transaction.query<{ id: string }>('select crash.book($1, $2) as id', [
      reference,
      amountMinor,
    ]);
    asking.catch(() => undefined);
    await pass('mid-request', name);
    const { rows } = await asking.catch((error: unknown) => {
      throw error instanceof Error && 'code' in error && error.code === 'PT402'
        ? refused('declined')
        : error;
    });
    await pass('after-send', name);
    return { transferId: rows[0]?.id ?? 'none', reference };
  };

function toolOf(contract: Contract, variant: Variant, slot: number): AnyTool {
  const { timeoutMs, sends, retention } = SHAPES[variant];
  const name = toolName(contract, variant, slot);
  const common = {
    ...{ name, description: 'Pays.', input: order, output: transfer },
    ...{ timeout: `${timeoutMs}ms` as const, retry: { maximumAttempts: sends } },
    local: process.env[LOCAL_TOOLS] === 'yes' && mayBeLocal(variant),
  } as const;
  const key = { retention };
  switch (contract) {
    case 'read':
      return defineTool({ ...common, effect: 'read', run: look(name) });
    case 'transactional':
      return defineTool({ ...common, effect: { transactional: true }, run: book(name) });
    case 'keyed': {
      const effect = variant === 'brief-asked' ? { key, probe } : { key };
      return defineTool({ ...common, effect, run: pay });
    }
    case 'reconcilable':
      return defineTool({ ...common, effect: { probe }, run: pay });
    case 'once':
      return defineTool({ ...common, effect: 'once', run: pay });
  }
}

const VARIANTS: Readonly<Record<Contract, readonly Variant[]>> = {
  read: ['plain', 'few'],
  transactional: ['plain', 'few'],
  keyed: ['plain', 'few', 'last', 'brief', 'brief-asked'],
  reconcilable: ['plain', 'few', 'patient'],
  once: ['plain', 'few', 'patient'],
};

export const tools: readonly AnyTool[] = (Object.keys(VARIANTS) as Contract[]).flatMap((contract) =>
  VARIANTS[contract].flatMap((variant) =>
    Array.from({ length: SLOTS }, (_, slot) => toolOf(contract, variant, slot)),
  ),
);

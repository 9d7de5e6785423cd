// Payments by the effect engine itself, without Temporal: what the ledger alone adds to a request.
import { ulid } from 'ulid';
import { createEffectEngine, type EffectEngine } from '../../activities/effects/effect-engine.ts';
import { createWire } from '../../activities/effects/wire.ts';
import { type Database, openDatabase, type Transaction } from '../../activities/ledger/database.ts';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import { fingerprint } from '../../activities/effects/fingerprint.ts';
import { judgeTerms } from '../../activities/runs/judge-terms.ts';
import { toIntent } from '../../activities/runs/propose-call.ts';
import { storeStep, transfer, type TransferTool, transferTool, type Variant } from './variants.ts';

export interface EngineSite {
  /** Milliseconds of each payment, one after the other. */
  time(variant: Variant, effects: number): Promise<readonly number[]>;
  /** Statements sent to PostgreSQL so far, `begin` and `commit` among them: each is a round trip. */
  statements(): number;
  close(): Promise<void>;
}

/** All three over the same HTTP client, the one that tools get: what differs is the ledger. */
export async function openEngineSite(databaseUrl: string, bankUrl: string): Promise<EngineSite> {
  const { database, statements } = counting(openDatabase({ url: databaseUrl }));
  const wire = createWire({ privateNetworks: 'allow' });
  const engine = createEffectEngine({
    ledger: await createPostgresEffectLedger(database),
    wire,
    crash: () => undefined,
    random: Math.random,
  });
  const tool = transferTool(bankUrl);
  const send = (reference: string) => transfer(bankUrl, reference, wire);
  return {
    async time(variant, effects) {
      const runKey = `run_${ulid()}`;
      const pay = payerOf(variant, { database, engine, tool, send, runKey });
      const timesMs: number[] = [];
      for (let nth = 1; nth <= effects; nth += 1) {
        const startedAtMs = performance.now();
        await pay(`${runKey}-${nth}`, nth);
        timesMs.push(performance.now() - startedAtMs);
      }
      return timesMs;
    },
    statements,
    close: () => database.close(),
  };
}

function counting(database: Database): { database: Database; statements: () => number } {
  let statements = 0;
  const noted = (tx: Transaction): Transaction =>
    new Proxy(tx, {
      get(target, name) {
        if (name === 'query') statements += 1;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const counted: Database = {
    ...database,
    query(text, values, options) {
      statements += 1;
      return database.query(text, values, options);
    },
    transaction(work, options) {
      statements += 2;
      return database.transaction((tx) => work(noted(tx)), options);
    },
  };
  return { database: counted, statements: () => statements };
}

interface Payer {
  readonly database: Database;
  readonly engine: EffectEngine;
  readonly tool: TransferTool;
  readonly send: (reference: string) => ReturnType<typeof transfer>;
  readonly runKey: string;
}

type Pay = (reference: string, nth: number) => Promise<unknown>;

function payerOf(variant: Variant, { database, engine, tool, send, runKey }: Payer): Pay {
  switch (variant) {
    case 'plain':
      return (reference) => send(reference);
    case 'floor':
      return async (reference) => storeStep(database, reference, await send(reference));
    case 'ledger':
      return (reference, nth) => perform(engine, tool, { runKey, reference, nth });
  }
}

/** As the activity of a plain workflow's step does it. */
async function perform(
  engine: EffectEngine,
  tool: TransferTool,
  { runKey, reference, nth }: { runKey: string; reference: string; nth: number },
): Promise<void> {
  const address = {
    ...{ tenant: 'default', rootKey: runKey, path: [], turn: 0 },
    ...{ call: `transfer#${nth}`, generation: 0 },
  };
  const input = { reference };
  const carried = { stored: input, fingerprint: fingerprint(input) };
  const intent = toIntent(tool, address, runKey, carried, judgeTerms(tool, input));
  const outcome = await engine.perform({
    tool,
    tenant: address.tenant,
    id: intent.id,
    rootKey: runKey,
    intent,
    claim: { order: Date.now(), by: `bench ${nth}`, attempt: 1, leaseMs: tool.timeoutMs },
    seqSeen: nth - 1,
  });
  if (outcome.kind !== 'applied') throw new Error(`${reference} is ${outcome.kind}`);
}

// The world of the crash matrix: receivers, a ledger behind a proxy, and processes that wait for their orders.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { PawlClient } from '../../../client/index.ts';
import type { WorkerProcess } from '../../../devstack/worker-process.ts';
import { type PostgresProxy, startPostgresProxy } from '../fixtures/postgres-proxy.ts';
import { createWorld, type World } from '../fixtures/world.ts';
import { script } from './agents.ts';
import { BANK_IN_DATABASE } from './bank-in-database.ts';
import { type Order, ORDERS, STANDING } from './order.ts';
import { LOCAL_TOOLS } from './tools.ts';

/** A process that is ready, and dies only by an order or by `kill`. */
export interface Hand extends WorkerProcess {
  order(order: Order): void;
  /** Stops the worker of that queue; the process lives on. */
  end(taskQueue: string): void;
  /** The tools that stand at their points, those included that have died there. */
  standing(): readonly string[];
}

export interface MatrixWorld extends World {
  readonly proxy: PostgresProxy;
  /** Short tools are `local` ones. */
  readonly hasLocalTools: boolean;
  /** Approves as a client that reaches the database and nobody else. */
  readonly lonely: PawlClient;
  /** The process that takes over, and outlives all. */
  readonly survivor: Hand;
  startHand(name: string): Promise<Hand>;
  rows<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
}

/** Nobody listens there. */
const NOWHERE = '127.0.0.1:9';

/** @default hasLocalTools false */
export async function openMatrixWorld({ hasLocalTools = false } = {}): Promise<MatrixWorld> {
  let proxy: PostgresProxy | undefined;
  const world = await createWorld({
    script,
    workerFile: join(import.meta.dirname, 'worker.ts'),
    between: async (url) => {
      proxy = await startPostgresProxy(url);
      return proxy.url;
    },
  });
  await world.sql(BANK_IN_DATABASE);
  const pool = new pg.Pool({ connectionString: world.databaseUrl, max: 4 });
  pool.on('error', () => undefined);
  const { databaseUrl } = world;
  const lonely = await PawlClient.connect({ temporalAddress: NOWHERE, databaseUrl });
  const startHand = (name: string): Promise<Hand> =>
    startHandIn(world, name, { [LOCAL_TOOLS]: hasLocalTools ? 'yes' : 'no' });
  return {
    ...world,
    proxy: proxy as PostgresProxy,
    lonely,
    hasLocalTools,
    survivor: await startHand('survivor'),
    startHand,
    rows: async <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
      (await pool.query<Row>(text, values)).rows,
    async close() {
      await lonely.close();
      await pool.end();
      await world.close();
      await proxy?.close();
    },
  };
}

async function startHandIn(
  world: World,
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<Hand> {
  const folder = join(world.folder, name);
  const standing = join(folder, 'standing');
  mkdirSync(folder);
  appendFileSync(standing, '');
  const process = await world.startProcess({ ...env, [ORDERS]: folder, [STANDING]: standing });
  return {
    ...process,
    order(order) {
      const file = join(folder, `${order.taskQueue}.json`);
      // Whole or not at all: the process may look at any moment.
      writeFileSync(`${file}.draft`, JSON.stringify(order));
      renameSync(`${file}.draft`, file);
    },
    end: (taskQueue) => writeFileSync(join(folder, `${taskQueue}.end`), ''),
    standing: () =>
      existsSync(standing) ? readFileSync(standing, 'utf8').split('\n').filter(Boolean) : [],
  };
}

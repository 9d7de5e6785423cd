// A worker that guards its task with a lock that has a TTL: takes it, looks whether the task is done, pays, releases.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Payment } from '../payment.ts';
import { findTransfer, pay } from './bank.ts';

const BACKOFF_MS = 100;
const ttlMs = Number(process.env['LOCK_TTL_MS'] ?? 2_000);
const task = JSON.parse(process.env['TASK'] ?? '{}') as Payment;
// Random, so that nobody releases the lock of somebody else.
const owner = randomUUID();

const database = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
await database.connect();
await database.query(
  'create table if not exists locks (task text primary key, owner text, expires_at timestamptz)',
);

/** Set if absent, with a TTL: a lock that has expired is nobody's. */
async function takeLock(): Promise<boolean> {
  const { rowCount } = await database.query(
    `insert into locks values ($1, $2, now() + $3 * interval '1 millisecond')
     on conflict (task) do update set owner = excluded.owner, expires_at = excluded.expires_at
     where locks.expires_at < now()`,
    [task.reference, owner, ttlMs],
  );
  return rowCount === 1;
}

/** Compare and delete. */
async function releaseLock(): Promise<void> {
  await database.query('delete from locks where task = $1 and owner = $2', [task.reference, owner]);
}

process.stdout.write('ready\n');
while (!(await takeLock())) await sleep(BACKOFF_MS);
if (!(await findTransfer(task))) await pay(task);
await releaseLock();
await database.end();

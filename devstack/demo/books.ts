// The demonstration's books: the ledger's database and the receivers' logs belong together, and are begun anew together.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PawlClient } from '../../client/index.ts';
import { dropDatabase, type Stack } from '../stack.ts';

export const BOOKS_DATABASE = 'payouts';

export interface Books {
  readonly folder: string;
  readonly bankLog: string;
  readonly mailboxLog: string;
  readonly modelLog: string;
}

/** The folder of the open books. */
export function openBooks(dataDir: string): Books {
  const folder = join(dataDir, 'payouts');
  mkdirSync(folder, { recursive: true });
  return {
    folder,
    bankLog: join(folder, 'bank-receipts.jsonl'),
    mailboxLog: join(folder, 'mailbox-receipts.jsonl'),
    modelLog: join(folder, 'model-requests.jsonl'),
  };
}

/** Where the receiver listened when these books were opened; 0, any free port, the first time. */
export function keptPort(books: Books, receiver: string): number {
  const file = portFile(books, receiver);
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

export function keepPort(books: Books, receiver: string, port: number): void {
  writeFileSync(portFile(books, receiver), `${port}\n`);
}

const portFile = ({ folder }: Books, receiver: string): string => join(folder, `${receiver}.port`);

/** The run that an earlier start left unfinished, if there is one: it goes on. */
export async function findOpenRun(client: PawlClient): Promise<string | undefined> {
  const runs = await client.list({ limit: 100 });
  return runs.find(({ isFinished }) => !isFinished)?.runKey;
}

/** Puts finished books away and drops their ledger: every demonstration pays the same invoices. */
export async function closeBooks(stack: Stack, dataDir: string): Promise<void> {
  const { folder } = openBooks(dataDir);
  if (existsSync(folder))
    renameSync(folder, `${folder}-${new Date().toISOString().replaceAll(':', '-')}`);
  await dropDatabase(stack.servers.postgres.url, BOOKS_DATABASE);
}

// The ledger's open transaction as a transactional tool may use it: for statements only, and only while the tool runs.
import type pg from 'pg';
import { isConnectionError, type Transaction } from './database.ts';
import type { LedgerTransaction } from '../../domain/schemas/tool-context.ts';
import type { TransactionEnd } from './effect-ledger.ts';

/** The tool's own code threw: what it wrote is rolled back, and this is no failure of the ledger. */
export class ToolThrew extends Error {
  constructor(cause: unknown) {
    super('the tool threw inside its transaction', { cause });
    this.name = 'ToolThrew';
  }
}

/** Other transactions won: the tool is run again, in a new one. */
const RACE_LOST = new Set(['40001', '40P01']);

export interface ToolTransaction {
  /** Runs the tool between two savepoints of PostgreSQL: one that ends the transaction itself is found out. */
  run(work: (open: LedgerTransaction) => Promise<TransactionEnd>): Promise<TransactionEnd>;
}

/** `timeMaxMs`: PostgreSQL itself ends a statement, or a silence, that lasts longer (a frozen worker holds locks). */
export function createToolTransaction(tx: Transaction, timeMaxMs: number): ToolTransaction {
  let isOpen = true;
  let broken: unknown;
  const open: LedgerTransaction = {
    async query<Row>(text: string, values: readonly unknown[] = []) {
      if (!isOpen) throw new Error('This transaction has ended: the tool is no longer waited for');
      try {
        // PostgreSQL ends it first; this is for a connection that went silent.
        const query = { text, values: [...values], query_timeout: timeMaxMs + 1_000 };
        const { rows, rowCount } = await tx.query(query as pg.QueryConfig);
        return { rows: rows as Row[], rowCount: rowCount ?? 0 };
      } catch (error) {
        if (isOfLedger(error)) broken = error;
        throw error;
      }
    },
  };
  return {
    async run(work) {
      const limit = Math.max(1, Math.round(timeMaxMs));
      await tx.query(
        `set local statement_timeout = ${limit}; set local idle_in_transaction_session_timeout = ${limit}`,
      );
      await tx.query('savepoint pawl_tool');
      try {
        const end = await work(open);
        isOpen = false;
        await tx.query(`${end.keepsRows ? 'release' : 'rollback to'} savepoint pawl_tool`);
        return end;
      } catch (error) {
        throw broken ?? new ToolThrew(error);
      } finally {
        isOpen = false;
      }
    },
  };
}

function isOfLedger(error: unknown): boolean {
  if (isConnectionError(error)) return true;
  return error instanceof Error && 'code' in error && RACE_LOST.has(String(error.code));
}

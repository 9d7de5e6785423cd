// The tables that transactional tools write in the in-memory ledger: a few plain statements, committed or dropped as one.
import type { LedgerTransaction } from '../domain/schemas/tool-context.ts';

export type MemoryRow = Readonly<Record<string, unknown>>;

/** Tables by name; a table is there from its first row on. */
export interface MemoryRows {
  /** What is committed, oldest first. */
  rows(table: string): readonly MemoryRow[];
  begin(): OpenRows;
}

/** Statements of one transaction: they see their own rows, nobody else does before the commit. */
export interface OpenRows extends LedgerTransaction {
  commit(): void;
  /** Refuses every further statement; what was not committed never happened. */
  close(): void;
}

const INSERT = /^insert into ([\w.]+) \(([\w, ]+)\) values \(([$\d, ]+)\)$/i;
const SELECT = /^select \* from ([\w.]+)(?: where (\w+) = \$1)?$/i;

/** Knows `insert into t (a, b) values ($1, $2)` and `select * from t [where a = $1]`; a real database knows the rest. */
export function createMemoryRows(): MemoryRows {
  const tables = new Map<string, readonly MemoryRow[]>();
  const committed = (table: string): readonly MemoryRow[] => tables.get(table) ?? [];
  return {
    rows: committed,
    begin() {
      const written: { readonly table: string; readonly row: MemoryRow }[] = [];
      let isOpen = true;
      const visible = (table: string): readonly MemoryRow[] => [
        ...committed(table),
        ...written.flatMap((each) => (each.table === table ? [each.row] : [])),
      ];
      return {
        query: <Row>(text: string, values: readonly unknown[] = []) =>
          new Promise<{ rows: Row[]; rowCount: number }>((resolve) => {
            if (!isOpen)
              throw new Error('This transaction has ended: the tool is waited for no longer');
            const statement = readStatement(text, values);
            if (statement.kind === 'insert') {
              written.push(statement);
              resolve({ rows: [], rowCount: 1 });
              return;
            }
            const rows = visible(statement.table).filter(statement.matches);
            resolve({ rows: rows as Row[], rowCount: rows.length });
          }),
        commit() {
          for (const { table, row } of written) tables.set(table, [...committed(table), row]);
        },
        close() {
          isOpen = false;
        },
      };
    },
  };
}

type Statement =
  | { readonly kind: 'insert'; readonly table: string; readonly row: MemoryRow }
  | {
      readonly kind: 'select';
      readonly table: string;
      readonly matches: (row: MemoryRow) => boolean;
    };

function readStatement(text: string, values: readonly unknown[]): Statement {
  const plain = text.trim().replace(/\s+/g, ' ');
  const [, into, names, slots] = INSERT.exec(plain) ?? [];
  if (into !== undefined && names !== undefined && slots !== undefined) {
    const positions = slots.split(',').map((slot) => Number(slot.trim().slice(1)) - 1);
    const columns = names.split(',').map((name) => name.trim());
    const cells = columns.map((name, at) => [name, values[positions[at] ?? -1] ?? null]);
    return { kind: 'insert', table: into, row: Object.fromEntries(cells) as MemoryRow };
  }
  const [, from, column] = SELECT.exec(plain) ?? [];
  if (from === undefined) {
    throw new SyntaxError(`The in-memory ledger does not know this statement: ${plain}`);
  }
  const matches = (row: MemoryRow): boolean => column === undefined || row[column] === values[0];
  return { kind: 'select', table: from, matches };
}

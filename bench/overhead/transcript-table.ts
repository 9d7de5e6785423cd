// A transcript as rows in PostgreSQL, as one keeps it without Pawl: one durable commit a message, the first write counts.
import pg from 'pg';
import { readVariable } from './contenders.ts';
import type { Message } from './messages.ts';

export interface TranscriptTable {
  read(run: string): Promise<readonly Message[]>;
  /** Returns what is stored: of two writes of the same message the first one counts. */
  store(run: string, seq: number, message: Message): Promise<Message>;
  close(): Promise<void>;
}

/** What the databases of the commit floor and of the bare SDK are made with. */
export const CREATE_TRANSCRIPT = `create schema if not exists bench;
  create table if not exists bench.messages (
    run text not null, seq integer not null, body text not null, primary key (run, seq))`;

/** In the database that the environment names. */
export function openTranscriptTable(): TranscriptTable {
  const pool = new pg.Pool({ connectionString: readVariable('DATABASE_URL'), max: 10 });
  pool.on('error', () => undefined);
  return {
    async read(run) {
      const text = 'select body from bench.messages where run = $1 order by seq';
      const { rows } = await pool.query<{ body: string }>(text, [run]);
      return rows.map(({ body }) => JSON.parse(body) as Message);
    },
    async store(run, seq, message) {
      const { rowCount } = await pool.query(
        'insert into bench.messages (run, seq, body) values ($1, $2, $3) on conflict do nothing',
        [run, seq, JSON.stringify(message)],
      );
      if (rowCount === 1) return message;
      const { rows } = await pool.query<{ body: string }>(
        'select body from bench.messages where run = $1 and seq = $2',
        [run, seq],
      );
      return JSON.parse(rows[0]?.body ?? 'null') as Message;
    },
    close: () => pool.end(),
  };
}

// The receiver of transactional effects: a table beside the ledger, and a function that goes wrong as a cell says.
import type { Mode } from './cells.ts';

/**
 * The ways of a receiver, as those of a database. `slow`: the rows are written, then the statement outlasts the lease;
 * `reject-before`: refused by a constraint; `500-before`, `500-after`: an error before, or each time behind, the rows;
 * `timeout-before`: waits for ever before it writes; `timeout-after`: the answer to the commit is lost (by the proxy);
 * `reset-mid-body`: the connection is cut behind the rows; `409-in-flight`: a serialisation failure;
 * `429`: too many connections (a database says no Retry-After).
 */
export const BANK_IN_DATABASE = `
  create schema crash;
  create sequence crash.calls_of_all;
  create table crash.orders (reference text primary key, mode text not null, calls text not null);
  create table crash.receipts (
    id text primary key default 'tr_' || gen_random_uuid(),
    reference text not null, amount int not null, at timestamptz not null default clock_timestamp());
  create function crash.book(ref text, amount int) returns text language plpgsql as $$
  declare
    met crash.orders;
    made text;
    is_first boolean;
  begin
    select * into strict met from crash.orders where reference = ref;
    -- A sequence counts calls that are rolled back, too.
    is_first := nextval(met.calls::regclass) = 1;
    if met.mode = 'reject-before' then raise 'declined' using errcode = 'PT402'; end if;
    if is_first and met.mode = '500-before' then raise 'internal error' using errcode = 'XX000'; end if;
    if is_first and met.mode = 'timeout-before' then perform pg_sleep(30); end if;
    if is_first and met.mode = '409-in-flight' then raise 'in flight' using errcode = '40001'; end if;
    if is_first and met.mode = '429' then raise 'too many' using errcode = '53300'; end if;
    insert into crash.receipts (reference, amount) values (ref, amount) returning id into made;
    if met.mode = '500-after' then raise 'internal error' using errcode = 'XX000'; end if;
    if is_first and met.mode = 'slow' then perform pg_sleep(30); end if;
    if is_first and met.mode = 'reset-mid-body' then
      perform pg_terminate_backend(pg_backend_pid());
      perform pg_sleep(1);
    end if;
    return made;
  end $$`;

/** Makes the function behave so for one reference. */
export function arrangeInDatabase(
  sql: (text: string, values?: unknown[]) => Promise<unknown>,
  reference: string,
  mode: Mode,
): Promise<unknown> {
  const calls = `crash."calls of ${reference}"`;
  return sql(
    `do $$ begin
       create sequence ${calls};
       insert into crash.orders values ('${reference}', '${mode}', '${calls}');
     end $$`,
  );
}

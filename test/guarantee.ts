// guarantee(): Jest's `it` for a test that proves entries of the manifest; their ids stand in its title.
import { it } from '@jest/globals';
import { type GuaranteeId, guarantees } from './guarantees.ts';

type Ids = GuaranteeId | readonly GuaranteeId[];

/** Declares a test titled `[id] title`, or `[id, id] title`; throws at load when the manifest lacks an id. */
export function guarantee(
  ids: Ids,
  title: string,
  run: () => void | Promise<void>,
  timeoutMs?: number,
): void {
  it(toTitle(ids, title), run, timeoutMs);
}

/** The same for a table: `guarantee.each(id, rows)(title, run)`, as Jest's `it.each`. */
guarantee.each =
  <Row extends [unknown, ...unknown[]]>(ids: Ids, rows: readonly Row[]) =>
  (title: string, run: (...row: Row) => void | Promise<void>, timeoutMs?: number): void => {
    it.each(rows.map((row): unknown[] => [...row]))(
      toTitle(ids, title),
      (...row: unknown[]) => run(...(row as unknown as Row)),
      timeoutMs,
    );
  };

function toTitle(ids: Ids, title: string): string {
  const cited: readonly string[] = typeof ids === 'string' ? [ids] : ids;
  for (const id of cited) {
    if (!Object.hasOwn(guarantees, id)) {
      throw new Error(`"${id}" is not in test/guarantees.ts: add its sentence, then the test`);
    }
  }
  return `[${cited.join(', ')}] ${title}`;
}

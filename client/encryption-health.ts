// What `doctor` says of encryption: whether it is on here, which key is current, and which runs still name another.
import type { ClientContext } from './context.ts';
import type { HealthCheck } from './health-check.ts';

interface KeyCount {
  readonly kekId: string;
  readonly runs: number;
}

/** A worker has its own environment: what its runs were given shows in the rows. */
export async function checkEncryption({ database, keys }: ClientContext): Promise<HealthCheck> {
  const name = 'encryption';
  const counts = await database
    .query<KeyCount>(
      `select kek_id as "kekId", count(*) as runs from pawl.run_keys
       where wrapped is not null group by 1 order by 1`,
    )
    .catch(() => undefined);
  if (!counts) return { name, status: 'unknown', detail: 'not looked at: the schema failed' };
  const runs = counts.reduce((sum, each) => sum + each.runs, 0);
  const held = counts.map(({ kekId, runs: count }) => `${kekId}: ${count}`).join(', ');
  if (!keys && runs === 0) {
    return { name, status: 'pass', detail: 'off: bodies are stored in the clear' };
  }
  if (!keys) {
    const detail = `off here, and data keys are held (${held})`;
    const advice = 'Set PAWL_ENCRYPTION_KEYS to read and to start encrypted runs.';
    return { name, status: 'warn', detail, advice };
  }
  const older = counts.filter(({ kekId }) => kekId !== keys.currentKeyId);
  const detail = `on, current key "${keys.currentKeyId}" (data keys held: ${held || 'none'})`;
  if (older.length === 0) return { name, status: 'pass', detail };
  return { name, status: 'warn', detail, advice: '`pawl keys rotate` wraps the others anew.' };
}

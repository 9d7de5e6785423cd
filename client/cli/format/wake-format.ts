// Says plainly when a row is written but its workflow could not be woken.
import type { Wake } from '../../temporal.ts';
import type { CliIo } from '../cli-io.ts';

const WHAT_NEXT = {
  'temporal-unreachable': 'The reconciler wakes the run later',
  'workflow-ended': 'The reconciler acts on what is written',
  'no-waiter': 'The reconciler takes it up',
  'signals-full': 'The run reads it at its next step',
} as const;

/** Empty when the workflow was woken. */
export function formatWake({ paint }: Pick<CliIo, 'paint'>, wake: Wake): string {
  if (wake.kind === 'delivered') return '';
  const why = wake.message.replace(/\.$/, '');
  const message = `Written, and it counts; but nobody was woken: ${why}. ${WHAT_NEXT[wake.reason]}.`;
  return `${paint('warn', message)}\n`;
}

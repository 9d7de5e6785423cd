// compensate(): undoes what a run has done, the last effect first, each undoing an effect of its own.
import { CancellationScope } from '@temporalio/workflow';
import type { Compensable } from '../activities/runs/run-compensation.ts';
import { DEFAULT_TENANT } from '../domain/rules/ids.ts';
import { ledgerOptions } from './activity-options.ts';
import type { CompensateInput } from './messages.ts';
import { runPawlActivity } from './run-activity.ts';
import { seqSeenOf, settleStep } from './settle-step.ts';

export interface CompensateOptions {
  /** The run or business process whose effects are undone. */
  readonly runKey: string;
  /** @default 'default' */
  readonly tenant?: string;
  /** Short ids (`ef_…`). @default every effect of the run */
  readonly effects?: readonly string[];
}

/** What became of one effect. */
export interface CompensatedEffect {
  readonly effect: string;
  readonly tool: string;
  readonly summary: string;
  /** `kept`: the tool has no `compensate`; `not_needed`: it never happened. */
  readonly kind: 'compensated' | 'refused' | 'kept' | 'not_needed';
  /** Why, when it was refused. */
  readonly reason?: string;
}

export interface CompensationReport {
  readonly v: 1;
  /** In the order in which they were undone. */
  readonly effects: readonly CompensatedEffect[];
}

/**
 * Undoes the effects of a run in reverse. Nothing interrupts it: a crash in its middle goes on where it stood, and what
 * has been undone is not undone again. An effect in doubt, or a compensation in doubt, is waited for: `pawl settle`.
 */
export function compensate(options: CompensateOptions): Promise<CompensationReport> {
  return CancellationScope.nonCancellable(async () => {
    const { runKey, tenant = DEFAULT_TENANT, effects } = options;
    const input = { v: 1, tenant, runKey, ...(effects ? { effects } : {}) } as const;
    const found = await runPawlActivity('pawl.compensable', input, ledgerOptions);
    const done: CompensatedEffect[] = [];
    // One after the other: what was done first may be what the later ones stand on.
    for (const item of found) done.push(await undo({ tenant, runKey }, item));
    return { v: 1, effects: done };
  });
}

async function undo(
  { tenant, runKey }: { readonly tenant: string; readonly runKey: string },
  { id, effect, rootKey, tool, summary, compensation }: Compensable,
): Promise<CompensatedEffect> {
  if (!compensation) return { effect, tool, summary, kind: 'kept' };
  const { tool: name, timeoutMs } = compensation;
  const end = await settleStep(
    { name, timeoutMs },
    {
      v: 1,
      kind: 'compensate',
      tenant,
      rootKey,
      runKey,
      effect: id,
      seq: seqSeenOf(runKey),
    },
  );
  if (end.kind === 'applied') return { effect, tool, summary, kind: 'compensated' };
  if (end.kind === 'refused' && end.code === 'nothing_to_undo') {
    return { effect, tool, summary, kind: 'not_needed' };
  }
  return { effect, tool, summary, kind: 'refused', reason: end.message };
}

/** The workflow behind `pawl compensate`: undoes what a run has done, whatever became of the run. */
export function pawlCompensate({ v: _, ...options }: CompensateInput): Promise<CompensationReport> {
  return compensate(options);
}

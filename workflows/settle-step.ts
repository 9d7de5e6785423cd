// Carries one effect of a plain workflow to its definite end: waits out doubts, callbacks and pauses, durably.
import { condition, setHandler } from '@temporalio/workflow';
import type { EffectOutcome, ToolActivityInput } from '../domain/rules/effect-outcome.ts';
import { ledgerOptions, toolOptions } from './activity-options.ts';
import { settled } from './messages.ts';
import { runActivity, runPawlActivity } from './run-activity.ts';

/** The definite ends. */
export type SettledStep = Extract<EffectOutcome, { kind: 'applied' | 'refused' | 'failed' }>;

/** A human takes time; a receiver that says "accepted" is often done within seconds. */
const DOUBT_LOOK_MS = 60_000;
const PENDING_LOOK_MS = 5_000;
const LOOK_MAX_MS = 3_600_000;

// Workflow-local: each execution has module state of its own.
const seqSeen = new Map<string, number>();
let wakes = 0;

/** The highest ledger sequence that this execution has seen of a process. */
export function seqSeenOf(runKey: string): number {
  return seqSeen.get(runKey) ?? 0;
}

/** Runs `tool.<name>` until its effect has a definite end; `pawl settle` and callbacks wake it. */
export async function settleStep(
  name: string,
  timeoutMs: number,
  input: Exclude<ToolActivityInput, { kind: 'calls' }>,
): Promise<SettledStep> {
  setHandler(settled, () => {
    wakes += 1;
  });
  for (let looks = 0; ; looks += 1) {
    // A word that comes while the activity looks is newer than what it may have seen.
    const before = wakes;
    const seq = seqSeenOf(input.runKey);
    const options = toolOptions(timeoutMs, name);
    const outcome = await runActivity<EffectOutcome>(`tool.${name}`, { ...input, seq }, options);
    if ('seq' in outcome) noteSeq(input.runKey, outcome.seq);
    switch (outcome.kind) {
      case 'applied':
      case 'refused':
      case 'failed':
        return outcome;
      case 'unrecorded':
        await writeBack(input, outcome);
        break;
      case 'pending':
        await nextSettlement(before, PENDING_LOOK_MS * 2 ** looks);
        break;
      case 'in_doubt':
      case 'awaiting_approval':
      case 'paused':
        await nextSettlement(before, DOUBT_LOOK_MS * 2 ** looks);
    }
  }
}

function noteSeq(runKey: string, seq: number): void {
  seqSeen.set(runKey, Math.max(seq, seqSeenOf(runKey)));
}

async function writeBack(
  input: Exclude<ToolActivityInput, { kind: 'calls' }>,
  { kind: _, ...outcome }: Extract<EffectOutcome, { kind: 'unrecorded' }>,
): Promise<void> {
  const tenant = input.kind === 'step' ? input.address.tenant : input.tenant;
  noteSeq(
    input.runKey,
    await runPawlActivity('pawl.writeBack', { v: 1, tenant, ...outcome }, ledgerOptions),
  );
}

async function nextSettlement(before: number, lookMs: number): Promise<void> {
  await condition(() => wakes > before, Math.min(lookMs, LOOK_MAX_MS));
}

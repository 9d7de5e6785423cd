// Carries one effect of a plain workflow to its definite end: waits out doubts, callbacks and pauses, durably.
import { condition, setHandler } from '@temporalio/workflow';
import type { EffectOutcome, ToolActivityInput } from '../domain/rules/effect-outcome.ts';
import { ledgerOptions } from './activity-options.ts';
import { executionMemory } from './execution-memory.ts';
import { settled } from './messages.ts';
import { runPawlActivity, runTool } from './run-activity.ts';

/** The definite ends. */
export type SettledStep = Extract<EffectOutcome, { kind: 'applied' | 'refused' | 'failed' }>;

/** A human takes time; a receiver that says "accepted" is often done within seconds. */
const DOUBT_LOOK_MS = 60_000;
const PENDING_LOOK_MS = 5_000;
const LOOK_MAX_MS = 3_600_000;

/** The highest ledger sequence that this execution has seen of a process. */
export function seqSeenOf(runKey: string): number {
  return executionMemory().seqSeen.get(runKey) ?? 0;
}

/** The tool of a step, as its workflow knows it. */
export interface StepTool {
  readonly name: string;
  readonly timeoutMs: number;
  readonly local?: boolean;
}

/** Runs `tool.<name>` until its effect has a definite end; `pawl settle` and callbacks wake it. */
export async function settleStep(
  { name, timeoutMs, local: isLocal = false }: StepTool,
  input: Exclude<ToolActivityInput, { kind: 'calls' }>,
): Promise<SettledStep> {
  const memory = executionMemory();
  setHandler(settled, () => {
    memory.wakes += 1;
  });
  for (let looks = 0; ; looks += 1) {
    // A word that comes while the activity looks is newer than what it may have seen.
    const before = memory.wakes;
    const seq = seqSeenOf(input.runKey);
    const run = { type: `tool.${name}`, timeoutMs, isLocal, summary: name };
    const outcome = await runTool<EffectOutcome>(run, { ...input, seq });
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
  executionMemory().seqSeen.set(runKey, Math.max(seq, seqSeenOf(runKey)));
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
  const memory = executionMemory();
  await condition(() => memory.wakes > before, Math.min(lookMs, LOOK_MAX_MS));
}

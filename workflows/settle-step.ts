// Carries one effect of a plain workflow to its definite end: waits out doubts, callbacks and pauses, durably.
import { condition, patched, setHandler } from '@temporalio/workflow';
import type { EffectOutcome, ToolActivityInput } from '../domain/rules/effect-outcome.ts';
import { ledgerOptions } from './activity-options.ts';
import { executionMemory } from './execution-memory.ts';
import { lookSummary, showWait, toWait, type Wait, waitSummary } from './waits.ts';
import { settled, type SettledMessage } from './messages.ts';
import { runPawlActivity, runTool } from './run-activity.ts';

/** The definite ends. */
export type SettledStep = Extract<EffectOutcome, { kind: 'applied' | 'refused' | 'failed' }>;

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
  tool: StepTool,
  input: Exclude<ToolActivityInput, { kind: 'calls' }>,
): Promise<SettledStep> {
  const memory = executionMemory();
  // Histories of older builds, and people, may send a signal without its message.
  setHandler(settled, (message?: Partial<SettledMessage>) => {
    memory.wakes.push(message?.effect ?? '');
  });
  let wait: Wait | undefined;
  for (let looks = 0; ; looks += 1) {
    // A word that comes while the activity looks is newer than what it may have seen.
    const before = memory.wakes.length;
    const outcome = await look(tool, input, lookSummary(tool.name, looks, wait));
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
      case 'in_doubt':
      case 'awaiting_approval':
      case 'paused':
        wait = toWait(outcome, looks);
        await nextSettlement(tool.name, wait, before);
    }
  }
}

function look(
  { name, timeoutMs, local: isLocal = false }: StepTool,
  input: Exclude<ToolActivityInput, { kind: 'calls' }>,
  summary: string,
): Promise<EffectOutcome> {
  const run = { type: `tool.${name}`, timeoutMs, isLocal, summary };
  return runTool<EffectOutcome>(run, { ...input, seq: seqSeenOf(input.runKey) });
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

/** Until its own effect is signalled, or the next look is due; Temporal's UI says meanwhile what is waited for. */
async function nextSettlement(tool: string, wait: Wait, before: number): Promise<void> {
  const { wakes } = executionMemory();
  const { effect } = wait;
  // An execution of before goes on as it began: a signal wakes everything that waits in it.
  const isOne = effect !== undefined && patched('pawl.wakes-one');
  const isWoken = (): boolean =>
    isOne
      ? wakes.slice(before).some((name) => name === effect || name === '')
      : wakes.length > before;
  const done = showWait(tool, wait);
  try {
    await condition(isWoken, wait.lookMs, { summary: waitSummary(tool, wait) });
  } finally {
    done();
  }
}

// Workflows that go wrong in a replay, each in a way of its own; none of them may pass the gate.
import { effect, agentRun as unchanged } from 'pawl/workflows';
import type { AgentRunResult } from 'pawl/workflows';
import { log, scheduleActivity } from '@temporalio/workflow';
import type { Tool } from 'pawl';

const lookUp = effect<Tool<{ reference: string }>>('look_up');
let executions = 0;

/** Ends at once, where the history goes on; the second execution of a sandbox would wait, if they shared this module. */
export async function agentRun(
  input: Parameters<typeof unchanged>[0],
): Promise<AgentRunResult | undefined> {
  executions += 1;
  if (executions > 1) await unchanged(input);
  return undefined;
}

/** Fails its task with a mistake in the code, after the first step, and says so in the log. */
export async function payOrder({ runKey, reference }: Record<string, string>): Promise<void> {
  await lookUp({ reference: String(reference) }, { runKey: String(runKey) });
  log.warn('the mistake comes now');
  throw new TypeError('undefined is not a payment');
}

/** Gives a command that cannot be put in words. */
export async function notifyTeam(): Promise<void> {
  await scheduleActivity('tool.notify', [{ cents: 1n }], { startToCloseTimeout: 1_000 });
}

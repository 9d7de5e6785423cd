// What must never ship: workflows that no longer command what recorded histories hold.
import { sleep } from '@temporalio/workflow';
import { agentRun as unchanged, effect } from 'pawl/workflows';
import type { AgentRunResult } from 'pawl/workflows';
import type { Tool } from 'pawl';

export * from '../workflow/fixtures/plain-workflows.ts';

/** Waits first: one timer that no recorded run has. */
export async function agentRun(input: Parameters<typeof unchanged>[0]): Promise<AgentRunResult> {
  await sleep(1);
  return unchanged(input);
}

const pay = effect<Tool<{ reference: string; payee: string; cents: number }>>('pay');
const lookUp = effect<Tool<{ reference: string }>>('look_up');

/** Pays before it looks: the same two calls in the other order. */
export async function payOrder({ runKey, reference }: Record<string, string>): Promise<string> {
  const at = { runKey: String(runKey) };
  await pay({ reference: String(reference), payee: 'Acme', cents: 2_000 }, at);
  await lookUp({ reference: String(reference) }, at);
  return 'paid';
}

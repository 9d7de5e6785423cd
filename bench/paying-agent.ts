// The workload of the benchmarks: each turn one model call and one keyed transfer whose result adds 2 KiB.
import { z } from 'zod';
import { type Agent, defineAgent } from '../domain/index.ts';
import {
  lastUserText,
  type ModelScript,
  type NeutralRequest,
  toolResults,
} from '../devstack/receivers/index.ts';
import { type Job, referenceOf } from './overhead/contenders.ts';
import { transferTool } from './transfer-tool.ts';

const NOTE = 'n'.repeat(2_048);

/** An agent that transfers once a turn, for as many turns as its model is told. */
export function payingAgent(
  bankUrl: string,
  turns: number,
  { local = false } = {},
): Agent<{ turns: number; run?: string | undefined }, string> {
  const transfer = transferTool(bankUrl, NOTE, { local });
  const permitted = new URL('./paying-agent.cedar', import.meta.url).pathname;
  return defineAgent({
    name: 'payer',
    input: z.object({ turns: z.number(), run: z.string().optional() }),
    instructions: 'Transfer one cent a turn.',
    tools: [transfer],
    model: { primary: 'anthropic/claude-sonnet-5-5' },
    policy: permitted,
    budget: { turns: turns + 1, usd: '1000.00', repeats: 10 },
  });
}

/** Asks for one transfer a turn until `turns` are done. */
export function payingModel(turns: number): ModelScript {
  return (request) => {
    const done = toolResults(request).length;
    if (done >= turns) return { text: 'done' };
    return { toolCalls: [{ name: 'transfer', arguments: { reference: `T-${done + 1}` } }] };
  };
}

/** Asks for one transfer a turn until the turns of the run's own input are done. */
export const modelOfJobs: ModelScript = (request) => {
  const { run, turns } = jobOf(request);
  const turn = toolResults(request).length + 1;
  if (turn > turns) return { text: 'done' };
  return { toolCalls: [{ name: 'transfer', arguments: { reference: referenceOf(run, turn) } }] };
};

/** What the run was started with: its first message. */
export function jobOf(request: NeutralRequest): Job {
  return JSON.parse(lastUserText(request)) as Job;
}

// The workload as workflows on the bare SDK: the transcript in a table, or in history as a tutorial has it. Runs in the sandbox.
import { proxyActivities } from '@temporalio/workflow';
import { modelOptions, toolOptions } from '../../workflows/activity-options.ts';
import type { BareActivities, ShippedActivities } from './worker-activities.ts';
import { checkCall, callOf, firstMessage, type Message, resultMessage } from './messages.ts';
import type { Job } from './contenders.ts';

// The time-outs of Pawl's activities: each is a timer, which the server sets and looks at when it is due.
const { askModel } = proxyActivities<Pick<BareActivities, 'askModel'>>(modelOptions);
const { transfer } = proxyActivities<Pick<BareActivities, 'transfer'>>(toolOptions(30_000));
const shipped = proxyActivities<ShippedActivities>({ startToCloseTimeout: '1 minute' });

/** The transcript is in PostgreSQL: history has the call and that it was done. Returns the turns. */
export async function bareRun(job: Job): Promise<number> {
  for (let turn = 1; ; turn += 1) {
    const call = await askModel(job, turn);
    if (!call) return turn - 1;
    checkCall(call, job, turn);
    await transfer(job, turn, call);
  }
}

/** The transcript is the workflow's state: every model call takes all of it. Returns the turns. */
export async function shippedRun(job: Job): Promise<number> {
  const messages: Message[] = [firstMessage(job)];
  for (let turn = 1; ; turn += 1) {
    const answer = await shipped.askModelWith(messages);
    messages.push(answer);
    const call = callOf(answer);
    if (!call) return turn - 1;
    checkCall(call, job, turn);
    messages.push(resultMessage(call, await shipped.transferFor(call)));
  }
}

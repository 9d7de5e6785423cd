// How an answer is read: the glue of probe.ts and attempt-send.ts that is no pure rule of production's yet.
import { SETTLE_TICKS } from './setting.ts';
import { type Answer, effectAt, type Process, type Row, type Saying, type World } from './world.ts';

/** What a probe remembers of the record that it is made for (probe.ts). */
export function probeMemory(row: Row): Partial<Process> {
  return {
    isConclusive: (row.leaseLeft ?? -SETTLE_TICKS) <= -SETTLE_TICKS,
    isWaiting: row.state.status === 'in_doubt' || row.state.isPending === true,
    fence: row.fence,
  };
}

/** Whether it cannot tell, or cannot be asked: then it is asked again for a while. */
export type Fails = 'not' | 'unclear' | 'asked-again';

/** What the receiver says when it is asked now, as `probeOnce` reads it. */
export function probed(draft: World, process: Process, fails: Fails): Partial<Process> {
  const { receiver } = effectAt(draft, process.effect);
  const then = process.isWaiting ? 'tell' : 'loop';
  const { fence, isStale } = process;
  if (fails === 'asked-again') return { say: 'unclear', then, fence, isStale };
  const isUnclear = fails === 'unclear';
  if (!isUnclear && receiver.receipts > 0) return { say: 'seen-applied', then, fence };
  if (isUnclear || receiver.jobs > 0) {
    return { say: process.isWaiting ? 'unclear' : 'unclear-doubted', then, fence, isStale };
  }
  return { say: process.isConclusive ? 'absent' : 'unclear', then, fence, isStale };
}

/** `afterGrant`: an answer at the door of a resend says nothing of the send before it. */
export function sayingOf(answer: Answer, isResend: boolean): Saying {
  if (answer === '') return 'ambiguous';
  if (answer === 'door') return isResend ? 'ambiguous' : 'refused';
  return answer;
}

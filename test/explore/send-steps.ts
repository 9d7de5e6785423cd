// A worker's one write: permit, tool, lease check, wire (attempt-send.ts, attempt-transaction.ts, effect-fetch.ts).
import { ledgerFails, report, retry } from './append-steps.ts';
import { appendEntries, type Denial, permit, toEntries } from './ledger.ts';
import { sayingOf } from './probe-answer.ts';
import { LEASE_TICKS, SETTLE_TICKS } from './setting.ts';
import { processAt, type Stage, step } from './step.ts';
import {
  breaks,
  effectAt,
  goTo,
  type Process,
  type Row,
  type Saying,
  type World,
} from './world.ts';

export function dispatchSteps(stage: Stage, at: 0 | 1): void {
  step(stage, at, (draft) => {
    const process = processAt(draft, at);
    const wasSent = (effectAt(draft, process.effect).row?.state.sends ?? 0) > 0;
    const answer = permit(stage.lab, draft, process);
    if (answer !== 'granted') return denied(process, answer);
    const fence = effectAt(draft, process.effect).row?.fence ?? 0;
    goTo(process, 'granted', { fence, isResend: wasSent });
    return `commits the permit`;
  });
  step(
    stage,
    at,
    (draft) => {
      const process = processAt(draft, at);
      const answer = permit(stage.lab, draft, process);
      retry(process);
      return `asks for a permit (${answer}); the answer to the commit is lost`;
    },
    'commit-unknown',
  );
  step(stage, at, ledgerFails(at), 'commit-failed');
}

function denied(process: Process, answer: Denial): string {
  if (answer === 'paused') goTo(process, 'report', { outcome: 'paused' });
  else if (answer === 'cancelled') goTo(process, 'append', { say: 'withdrawn', then: 'withdraw' });
  else goTo(process, 'look');
  return `gets no permit (${answer})`;
}

/** `attemptTransaction`: permit, rows and outcome are one commit. */
export function transactSteps(stage: Stage, at: 0 | 1): void {
  const transact = (
    draft: World,
    say: Saying | undefined,
    end: (process: Process, row: Row) => string,
  ): string => {
    const process = processAt(draft, at);
    const answer = permit(stage.lab, draft, process);
    if (answer !== 'granted') return denied(process, answer);
    const effect = effectAt(draft, process.effect);
    if (!effect.row) throw new Error('granted without a row');
    if (say !== 'refused') effect.receiver.receipts += 1;
    if (say !== undefined) {
      const entries = toEntries({ ...process, say, fence: effect.row.fence });
      appendEntries(stage.lab, draft, process.effect, entries);
    }
    return `commits permit, rows and outcome (${say ?? 'none'}): ${end(process, effect.row)}`;
  };
  const lost = (process: Process): string => {
    retry(process);
    return 'the answer to the commit is lost';
  };
  step(stage, at, (draft) => transact(draft, 'applied', report));
  step(stage, at, (draft) => transact(draft, 'refused', report), 'refusal');
  step(stage, at, (draft) => transact(draft, 'applied', lost), 'commit-unknown');
  step(stage, at, (draft) => transact(draft, undefined, lost), 'tool-commits');
  step(stage, at, ledgerFails(at), 'commit-failed');
}

/** The tool fails or refuses before its first write. */
export function toolSteps(stage: Stage, at: 0 | 1): void {
  const { attempt, wasSent } = processAt(stage.world, at);
  const { sendsMax } = stage.lab.setting;
  const fails = (isHopeless: boolean) =>
    step(
      stage,
      at,
      (draft) => {
        const process = processAt(draft, at);
        const { isStale } = process;
        if (!isHopeless && attempt < sendsMax) retry(process);
        else {
          const say = wasSent ? 'doubted' : 'withdrawn';
          goTo(process, 'append', { say, then: 'tell', isStale });
        }
        return `the tool throws before it writes${isHopeless ? ', hopelessly' : ''}`;
      },
      'tool-throws',
    );
  fails(false);
  if (!wasSent && attempt < sendsMax) fails(true);
  if (stage.lab.setting.contract === 'transactional') return;
  const returns = (draft: World): string => {
    const process = processAt(draft, at);
    goTo(process, 'append', { say: 'doubted', then: 'tell', isStale: process.isStale });
    return 'the tool returns without a write';
  };
  step(stage, at, returns, 'tool-returns');
  step(
    stage,
    at,
    (draft) => {
      const process = processAt(draft, at);
      const { wasOpen, wasIntended, fence, isStale } = process;
      // `beforeAnyWrite`, by what the look said.
      const memory: Partial<Process> = wasOpen
        ? { say: 'doubted' }
        : wasIntended
          ? { say: 'withdrawn' }
          : { say: 'refused-unwritten', fence };
      goTo(process, 'append', { ...memory, then: 'tell', isStale });
      return 'the tool refuses before it writes';
    },
    'tool-refuses',
  );
}

/** Lease check and write are one step, unless the documented limit is lifted. */
export function writeSteps(stage: Stage, at: 0 | 1): void {
  const { pc } = processAt(stage.world, at);
  const isLifted = stage.lab.setting.mayFreezeBeforeWrite;
  step(stage, at, (draft) => {
    const process = processAt(draft, at);
    const { fence, age, isResend } = process;
    if (pc === 'granted' && age > LEASE_TICKS) {
      goTo(process, 'append', { say: 'not-sent', fence, then: 'answer' });
      return `finds its lease over before the write`;
    }
    if (pc === 'granted' && isLifted) {
      goTo(process, 'checked', { fence, age, isResend });
      return `has checked its lease`;
    }
    judgeWrite(stage, draft, process);
    const effect = effectAt(draft, process.effect);
    // What a frozen process writes is with the receiver before the next tick, too.
    const onWire = Math.min(age, LEASE_TICKS + SETTLE_TICKS - 1);
    effect.messages.push({ fence, age: onWire, answer: '', isLate: false, isResend });
    effect.writes = Math.min(2, effect.writes + 1);
    goTo(process, 'wire', { fence, age, isResend });
    return `writes the request`;
  });
  step(
    stage,
    at,
    (draft) => {
      const process = processAt(draft, at);
      goTo(process, 'append', { say: 'not-sent', fence: process.fence, then: 'answer' });
      return 'gets no connection';
    },
    'never-connected',
  );
}

function judgeWrite({ lab }: Stage, draft: World, process: Process): void {
  const { row, writes } = effectAt(draft, process.effect);
  const { setting } = lab;
  if (!row || row.fence < process.fence || process.fence === 0) {
    breaks(draft, 'write-ahead', 'a write without a committed permit');
  } else if (row.state.sends === 0) {
    breaks(draft, 'sends-counted', 'a write that the ledger counts as never sent');
  }
  if (!setting.mayFreezeBeforeWrite && process.age > LEASE_TICKS) {
    breaks(draft, 'write-ahead', 'a write after the lease');
  }
  if (setting.contract === 'once' && writes > 0) {
    breaks(draft, 'one-send', 'a second write to a receiver that offers nothing');
  }
}

export function wireSteps(stage: Stage, at: 0 | 1): void {
  const { effect: index, fence, age, isResend } = processAt(stage.world, at);
  const { messages } = effectAt(stage.world, index);
  const mine = messages.findIndex((message) => message.fence === fence && !message.isLate);
  const answer = messages[mine]?.answer ?? '';
  const hear = (draft: World, say: Saying): void =>
    goTo(processAt(draft, at), 'append', { say, fence, then: 'answer' });
  if (answer !== '') {
    step(stage, at, (draft) => {
      effectAt(draft, index).messages.splice(mine, 1);
      hear(draft, sayingOf(answer, isResend));
      return `reads the answer: ${answer}`;
    });
  }
  if (age >= LEASE_TICKS) {
    const timesOut = (isLate: boolean) => (draft: World) => {
      const message = effectAt(draft, index).messages[mine];
      // What has left is with the receiver within the settle window, counted from here.
      if (message) Object.assign(message, { age: Math.max(message.age, 1), isLate, isResend });
      hear(draft, 'ambiguous');
      return `times out on the wire${isLate ? '; the tool listens on' : ''}`;
    };
    step(stage, at, timesOut(false));
    if (mine >= 0) step(stage, at, timesOut(true), 'late-fact');
  }
  if (mine >= 0 && answer === '') {
    step(
      stage,
      at,
      (draft) => {
        effectAt(draft, index).messages.splice(mine, 1);
        hear(draft, 'ambiguous');
        return `the connection breaks, the request is lost`;
      },
      'request-lost',
    );
  }
}

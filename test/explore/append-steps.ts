// A worker's probe and its appends, and how the engine goes on behind them (effect-engine.ts, effect-outcomes.ts).
import { recordedOutcome } from '../../activities/effects/effect-outcomes.ts';
import type { EffectRecord } from '../../activities/ledger/effect-ledger.ts';
import { begin, conclude } from './ledger.ts';
import { type Fails, probed } from './probe-answer.ts';
import { processAt, type Stage, step } from './step.ts';
import { effectAt, goTo, type Process, type Row, type World } from './world.ts';

export function retry(process: Process): void {
  goTo(process, 'report', { outcome: 'retry' });
}

export const ledgerFails =
  (at: 0 | 1) =>
  (draft: World): string => {
    retry(processAt(draft, at));
    return 'the ledger fails, nothing is committed';
  };

/** `recordedOutcome`: what the workflow is going to be told. */
export function report(process: Process, row: Row): string {
  const record = {
    state: row.state,
    output: row.output,
    outputProblem: null,
    sameAs: row.isAdopted ? 'the other' : null,
    reference: null,
    leaseUntilMs: null,
  };
  // Only these fields are read: the rest of a record has no part in the model.
  const outcome = recordedOutcome(record as unknown as EffectRecord, 0);
  if (outcome.kind === 'failed' || outcome.kind === 'awaiting_approval') {
    throw new Error(`a ledger row never says ${outcome.kind}`);
  }
  const output = outcome.kind === 'applied' ? row.output : '';
  goTo(process, 'report', { outcome: outcome.kind, output });
  return `will report ${outcome.kind}`;
}

export function probeSteps(stage: Stage, at: 0 | 1): void {
  const ask = (fails: Fails) => (draft: World) => {
    const process = processAt(draft, at);
    const memory = probed(draft, process, fails);
    goTo(process, 'append', memory);
    return `asks the receiver: ${memory.say ?? ''}`;
  };
  step(stage, at, ask('not'));
  step(stage, at, ask('unclear'), 'probe-unclear');
  step(stage, at, ask('asked-again'), 'probe-unclear');
}

/** `giveUpUnsent`: it could not be sent for as long as the tool allows. */
function givesUp(stage: Stage, at: 0 | 1): void {
  step(stage, at, (draft) => {
    const process = processAt(draft, at);
    conclude(stage.lab, draft, process);
    const { row } = effectAt(draft, process.effect);
    const { isStale, order } = process;
    if (row?.state.status === 'intended') {
      goTo(process, 'append', { say: 'withdrawn', then: 'withdraw' });
    } else if (row?.state.status === 'dispatched' && row.claimOrder <= order) {
      goTo(process, 'append', { say: 'doubted', then: 'tell', isStale });
    } else goTo(process, 'look');
    return 'appends not-sent, and gives up: it was not reached for too long';
  });
}

export function appendSteps(stage: Stage, at: 0 | 1): void {
  const { say, then, fence } = processAt(stage.world, at);
  const what = `appends ${say}`;
  if (say === 'not-sent') givesUp(stage, at);
  step(stage, at, (draft) => {
    const process = processAt(draft, at);
    const { row } = effectAt(draft, process.effect);
    if (!row) throw new Error('appends without a row');
    if (!conclude(stage.lab, draft, process)) {
      return `does not say ${say}, as the effect has changed: ${goOnUnsaid(stage, draft, process, row)}`;
    }
    return `${what} (now ${row.state.status}): ${goOn(stage, draft, process, row)}`;
  });
  step(
    stage,
    at,
    (draft) => {
      conclude(stage.lab, draft, processAt(draft, at));
      // `appendOrCarry` says it again; every other append ends the attempt.
      if (then !== 'answer') retry(processAt(draft, at));
      return `${what}; the answer to the commit is lost`;
    },
    'commit-unknown',
  );
  if (then !== 'answer') {
    step(stage, at, ledgerFails(at), 'commit-failed');
    return;
  }
  step(
    stage,
    at,
    (draft) => {
      const process = processAt(draft, at);
      const isCarried = ['applied', 'refused', 'pending'].includes(say);
      if (isCarried) goTo(process, 'report', { outcome: 'unrecorded', say, fence });
      else retry(process);
      return `cannot append ${say}: the ledger stays down`;
    },
    'ledger-down',
  );
}

/** What follows on a conclusion that was void; a probe of what is waited for tells what there is (`lookAgain`). */
function goOnUnsaid({ lab }: Stage, draft: World, process: Process, row: Row): string {
  const { say, then } = process;
  if (then === 'tell' && (say === 'absent' || say === 'unclear')) {
    begin(lab, draft, process.effect);
    return report(process, row);
  }
  goTo(process, 'look');
  return 'looks again';
}

/** `readAnswer` and its neighbours: what follows on an append. */
function goOn({ lab }: Stage, draft: World, process: Process, row: Row): string {
  const { status, isPending } = row.state;
  switch (process.then) {
    case 'loop':
      goTo(process, 'look');
      return 'looks again';
    case 'withdraw':
      if (status !== 'dispatched') return report(process, row);
      goTo(process, 'look');
      return 'too late to withdraw';
    case 'answer':
      // A callback may have come before the answer that it belongs to.
      if (isPending) begin(lab, draft, process.effect);
      if ((status !== 'dispatched' && status !== 'intended') || isPending) {
        return report(process, row);
      }
      if (lab.setting.contract === 'once' && status === 'dispatched') {
        goTo(process, 'look');
        return 'looks again';
      }
      retry(process);
      return 'leaves it to the next attempt';
    case 'tell':
    case '':
      return report(process, row);
  }
}

// The steps of a worker: the engine's order of calls (effect-engine.ts), nothing else.
import { appendSteps, ledgerFails, probeSteps, report, retry } from './append-steps.ts';
import { begin, judgeDoubt, type Look, maySend } from './ledger.ts';
import { probeMemory } from './probe-answer.ts';
import { dispatchSteps, toolSteps, transactSteps, wireSteps, writeSteps } from './send-steps.ts';
import { processAt, type Stage, step } from './step.ts';
import {
  effectAt,
  goTo,
  intendedRow,
  type Output,
  type Process,
  type Row,
  type World,
} from './world.ts';

/** Every next step of that worker. */
export function workerSteps(stage: Stage, at: 0 | 1): void {
  switch (processAt(stage.world, at).pc) {
    case 'free':
      return;
    case 'look':
      lookSteps(stage, at);
      break;
    case 'intend':
      intendSteps(stage, at);
      break;
    case 'dispatch':
      if (stage.lab.setting.contract === 'transactional') transactSteps(stage, at);
      else dispatchSteps(stage, at);
      toolSteps(stage, at);
      break;
    case 'granted':
    case 'checked':
      writeSteps(stage, at);
      break;
    case 'wire':
      wireSteps(stage, at);
      break;
    case 'probe':
      probeSteps(stage, at);
      break;
    case 'append':
      appendSteps(stage, at);
      break;
    case 'report':
      break;
  }
  const crashAt = processAt(stage.world, at).pc;
  step(
    stage,
    at,
    (draft) => {
      draft.processes[at] = { ...processAt(draft, at), pc: 'free' };
      return `crashes (at ${crashAt})`;
    },
    'crash',
  );
}

function lookSteps(stage: Stage, at: 0 | 1): void {
  step(stage, at, (draft) => {
    const process = processAt(draft, at);
    const look = begin(stage.lab, draft, process.effect);
    if (!look) {
      goTo(process, 'intend');
      return 'looks: no such effect yet';
    }
    return `looks (${look.row.state.status}, sends ${look.row.state.sends}): ${decide(stage, draft, process, look)}`;
  });
}

/** `perform`: the one legal move. */
function decide({ lab }: Stage, draft: World, process: Process, look: Look): string {
  const { row, move } = look;
  const { isPending } = row.state;
  switch (move.kind) {
    case 'return':
      return report(process, row);
    case 'wait':
      if (isPending) return report(process, row);
      // Longer than an attempt sleeps: Temporal brings a later one.
      retry(process);
      return 'leaves it to the next attempt: the lease or the settle window is open';
    case 'doubt':
      judgeDoubt(lab, draft, process.effect);
      goTo(process, 'append', { say: 'silence', then: 'tell' });
      return 'will put it in doubt';
    case 'probe':
      goTo(process, 'probe', probeMemory(row));
      return 'will ask the receiver';
    case 'send':
    case 'resend': {
      if (!maySend(lab, row, process)) return standBack(process, row);
      const wasOpen = lab.rules.hasOpenSend(row.state);
      const memory = {
        wasOpen,
        wasSent: row.state.sends > 0,
        wasIntended: row.state.status === 'intended',
        fence: row.fence,
      };
      if (move.kind === 'send') return passGate(lab, draft, process, look, memory);
      if (draft.isPaused) {
        goTo(process, 'report', { outcome: 'paused' });
        return 'paused';
      }
      goTo(process, 'dispatch', { ...memory, ignoresIdentity: true });
      return 'will send again';
    }
  }
}

/** A later claim: Temporal brings another attempt. A lease: it ends. */
function standBack(process: Process, row: Row): string {
  if (row.claimOrder > process.order) retry(process);
  else goTo(process, 'look');
  return 'stands back: another attempt has claimed it';
}

/** `passGate` of a plain workflow; in the approved setting a human has said that both are meant. */
function passGate(
  { rules, setting }: Stage['lab'],
  draft: World,
  process: Process,
  { row, identity }: Look,
  memory: Partial<Process>,
): string {
  const control = { paused: draft.isPaused, cancelled: draft.isCancelled };
  const stop = rules.stoppedBy(control, { state: row.state, compensates: null });
  const isApproved = setting.identity === 'approved';
  if (stop === 'cancelled' || (identity.kind === 'other-arguments' && !isApproved && !stop)) {
    goTo(process, 'append', { say: 'withdrawn', then: 'withdraw' });
    return 'will withdraw it';
  }
  if (stop === 'paused') {
    goTo(process, 'report', { outcome: 'paused' });
    return 'paused';
  }
  if (identity.kind === 'already-applied') {
    const output = identity.output as Output;
    goTo(process, 'append', { say: 'adopted', output, then: 'tell' });
    return 'will adopt the outcome of the first';
  }
  if (identity.kind === 'blocked') {
    if (identity.status === 'in_doubt') goTo(process, 'report', { outcome: 'in_doubt' });
    else goTo(process, 'look');
    return `blocked by the first (${identity.status})`;
  }
  goTo(process, 'dispatch', { ...memory, ignoresIdentity: isApproved });
  return 'will send';
}

function intendSteps(stage: Stage, at: 0 | 1): void {
  const store = (draft: World): Process => {
    const process = processAt(draft, at);
    const effect = effectAt(draft, process.effect);
    effect.row ??= intendedRow();
    goTo(process, 'look');
    return process;
  };
  step(stage, at, (draft) => {
    store(draft);
    return 'stores the intent';
  });
  step(
    stage,
    at,
    (draft) => {
      retry(store(draft));
      return 'stores the intent; the answer to the commit is lost';
    },
    'commit-unknown',
  );
  step(stage, at, ledgerFails(at), 'commit-failed');
}

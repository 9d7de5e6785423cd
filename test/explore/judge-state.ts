// What must hold in every state, and which states are an end; said without the rules.
import type { Setting } from './setting.ts';
import { type Broken, effectAt, type Effect, type World } from './world.ts';

/** The first property that this state breaks. */
export function judgeState(world: World): Broken | undefined {
  for (const [index, effect] of world.effects.entries()) {
    const broken = judgeTruth(world, index) ?? judgeTold(effect) ?? judgeCount(effect);
    if (broken) return broken;
  }
  return undefined;
}

function judgeTruth(world: World, index: number): Broken | undefined {
  const { row, receiver, messages } = effectAt(world, index);
  const done = receiver.receipts + receiver.jobs;
  if (!row) return done > 0 ? { property: 'truth', what: 'done without an intent' } : undefined;
  switch (row.state.status) {
    case 'applied': {
      const hasReceipt = row.isAdopted
        ? world.effects.some((other) => other.receiver.receipts > 0)
        : receiver.receipts > 0;
      return hasReceipt ? undefined : { property: 'truth', what: 'applied without a receipt' };
    }
    case 'refused':
      if (done === 0 || row.state.conflict) return undefined;
      return { property: 'truth', what: 'refused, and the receiver has done it: a silent loss' };
    case 'intended': {
      const isOut = done > 0 || messages.some(({ answer }) => answer === '');
      return isOut ? { property: 'truth', what: 'intended, and it was sent' } : undefined;
    }
    case 'dispatched':
    case 'in_doubt':
      return undefined;
  }
}

function judgeTold({ row, activity }: Effect): Broken | undefined {
  const { told, toldOutput } = activity;
  const broken = (what: string): Broken => ({ property: 'outcome-stands', what });
  if (told === 'applied' && (row?.state.status !== 'applied' || row.output !== toldOutput)) {
    return broken('a workflow was told applied, and the ledger says something else');
  }
  if (told === 'refused' && row?.state.status !== 'refused' && row?.state.conflict !== true) {
    return broken('a workflow was told refused, and the ledger says something else, unmarked');
  }
  return undefined;
}

function judgeCount({ row, receiver }: Effect): Broken | undefined {
  const done = receiver.receipts + receiver.jobs;
  if (!row || row.state.sends >= done) return undefined;
  return { property: 'sends-counted', what: `${done} done, ${row.state.sends} sends counted` };
}

/** Nobody has to do anything any more: each effect is told, in doubt, or was never sent and never will be. */
export function isEnd(world: World, { identity }: Setting): boolean {
  return world.effects.every(({ row, activity }) => {
    if (activity.isAlive ? activity.told !== '' : isLeftClean(row?.state.status)) return true;
    if (row?.state.status === 'in_doubt') return true;
    const waitsForDoubt = world.effects.some(
      (other) => other.row?.holdsIdentity && other.row.state.status === 'in_doubt',
    );
    return identity !== 'none' && row?.state.status === 'intended' && waitsForDoubt;
  });
}

function isLeftClean(status: string | undefined): boolean {
  return status !== 'dispatched';
}

/** Every workflow is gone: nobody but the reconciler looks after its effects. */
export function isOrphaned(world: World): boolean {
  return world.effects.every(({ activity }) => !activity.isAlive);
}

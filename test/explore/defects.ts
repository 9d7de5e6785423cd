// Rules with one safety defect each: the explorer must find every one of them, or it proves nothing.
import type { Fact } from '../../domain/rules/effect.ts';
import { type EffectView, nextMove } from '../../domain/rules/next-move.ts';
import { type FactEntry, observe } from '../../domain/rules/observe.ts';
import { refuseClaim } from '../../domain/rules/permit.ts';
import { productionRules, type Rules } from './rules.ts';
import { NOW_MS, type SettingName } from './setting.ts';
import type { Property } from './world.ts';

export interface Defect {
  readonly what: string;
  readonly setting: SettingName;
  readonly budget: number;
  readonly rules: Rules;
  /** What breaks first. */
  readonly breaks: Property;
}

/** The same rules on a changed view. */
function viewing(change: (view: EffectView) => Partial<EffectView>): Partial<Rules> {
  return {
    nextMove: (view, nowMs) => nextMove({ ...view, ...change(view) }, nowMs),
    refuseClaim: (view, claim, nowMs) => refuseClaim({ ...view, ...change(view) }, claim, nowMs),
  };
}

type Before = Parameters<Rules['observe']>[0];

/** The same fold of changed entries. */
const folding = (change: (entry: FactEntry, before: Before) => FactEntry): Partial<Rules> => ({
  observe: (before, entries, isIdentityFree) =>
    observe(
      before,
      entries.map((entry) => change(entry, before)),
      isIdentityFree,
    ),
});

/** A fact that no longer says which send it is of. */
const unfenced = (kind: Fact['kind']): Partial<Rules> =>
  folding(({ fence, ...entry }) =>
    entry.fact.kind === kind || fence === undefined ? entry : { ...entry, fence },
  );

const waiting: Partial<Rules> = {
  nextMove(view, nowMs) {
    const move = nextMove(view, nowMs);
    return move.kind === 'doubt' ? { kind: 'wait', untilMs: nowMs + 1 } : move;
  },
};

const REFUSED: Fact = { kind: 'refused', source: 'response', code: 'no', message: '' };

const defect = (
  what: string,
  setting: SettingName,
  budget: number,
  change: Partial<Rules>,
  breaks: Property,
): Defect => ({ what, setting, budget, rules: { ...productionRules, ...change }, breaks });

export const defects = {
  'every-claim': defect(
    'refuseClaim permits every claim',
    'once',
    1,
    { refuseClaim: () => undefined },
    'permit-current',
  ),
  'second-send': defect(
    'nextMove resends to a receiver that offers nothing',
    'once',
    0,
    viewing(() => ({ contract: 'keyed', keyRetentionMs: Infinity, firstSentAtMs: NOW_MS })),
    'one-send',
  ),
  'past-horizon': defect(
    'nextMove resends by key past its horizon',
    'keyed',
    0,
    viewing(() => ({ keyRetentionMs: Infinity })),
    'key-horizon',
  ),
  'no-probe-first': defect(
    'nextMove resends without a conclusive probe',
    'reconcilable',
    0,
    viewing((view) => ({ state: { ...view.state, absents: 2 } })),
    'one-receipt',
  ),
  'late-applied': defect(
    'the fold drops an applied fact that comes in doubt',
    'once',
    0,
    folding((entry, { state }) =>
      state.status === 'in_doubt' && entry.fact.kind === 'applied'
        ? { ...entry, fact: { kind: 'ambiguous', reason: 'late' } }
        : entry,
    ),
    'fact-kept',
  ),
  'time-out-is-no': defect(
    'the fold takes an ambiguous answer for a refusal',
    'keyed',
    0,
    folding((entry) => (entry.fact.kind === 'ambiguous' ? { ...entry, fact: REFUSED } : entry)),
    'truth',
  ),
  'same-order': defect(
    'refuseClaim lets an older attempt pass a later one',
    'keyed',
    1,
    { refuseClaim: (view, claim, nowMs) => refuseClaim({ ...view, claimOrder: 0 }, claim, nowMs) },
    'permit-current',
  ),
  'no-identity': defect(
    'standingTowards lets every identity pass',
    'identity-same',
    0,
    { standingTowards: () => ({ kind: 'free' }) },
    'identity',
  ),
  'no-pause': defect(
    'stoppedBy hears no pause and no cancel',
    'once',
    1,
    { stoppedBy: () => undefined },
    'controls',
  ),
  'stale-absent': defect(
    'a probe from before the last send counts for it, as Pawl once had it',
    'reconcilable',
    1,
    {
      ...unfenced('probed_absent'),
      concludes: (isStale, say) => !isStale || say === 'absent',
    },
    'one-receipt',
  ),
  'stale-doubt': defect(
    'a doubt from silence outlives a word that ended the silence, as Pawl once had it',
    'once',
    1,
    { concludes: (isStale, say) => !isStale || say === 'silence' },
    'doubt-current',
  ),
  'zombie-doubt': defect(
    'a tool that ends before it sends again doubts what a later attempt has sent, as Pawl once had it',
    'keyed',
    2,
    { concludes: (isStale, say) => !isStale || say === 'doubted' },
    'doubt-current',
  ),
  'stale-adoption': defect(
    'the outcome of an equal intention is adopted over a withdrawal, as Pawl once had it',
    'identity-same',
    2,
    { concludes: (isStale, say) => !isStale || say === 'adopted' },
    'truth',
  ),
  'older-doubt': defect(
    'the 422 of an earlier send is a doubt of the last one, as Pawl once had it',
    'keyed',
    2,
    unfenced('doubted'),
    'doubt-current',
  ),
  'older-refusal': defect(
    'the refusal of an earlier send ends the last one, as Pawl once had it',
    'keyed',
    2,
    unfenced('refused'),
    'truth',
  ),
  'waits-for-ever': defect('nextMove waits where it has to doubt', 'once', 0, waiting, 'settles'),
  'waits-for-nobody': defect(
    'nextMove waits where it has to doubt, and the workflow is terminated',
    'once',
    1,
    waiting,
    'swept',
  ),
} satisfies Record<string, Defect>;
export type DefectName = keyof typeof defects;
export const defectNames = Object.keys(defects) as DefectName[];

// The rules under exploration: production's own functions, or the same with one of them changed.
import { hasOpenSend, nextMove } from '../../domain/rules/next-move.ts';
import { observe } from '../../domain/rules/observe.ts';
import type { Saying } from './world.ts';
import { grant, refuseClaim, standingTowards, stoppedBy } from '../../domain/rules/permit.ts';

/** `observe` folds with production's `foldFact`: a changed fold is given as a changed `observe`. */
export interface Rules {
  readonly nextMove: typeof nextMove;
  readonly refuseClaim: typeof refuseClaim;
  readonly grant: typeof grant;
  readonly standingTowards: typeof standingTowards<string>;
  readonly stoppedBy: typeof stoppedBy;
  readonly observe: typeof observe;
  readonly hasOpenSend: typeof hasOpenSend;
  /** Whether a ledger's `conclude` stores what was concluded from an effect that has changed since (`isStale`). */
  readonly concludes: (isStale: boolean, say: Saying) => boolean;
}

export const productionRules: Rules = {
  nextMove,
  refuseClaim,
  grant,
  standingTowards,
  stoppedBy,
  observe,
  hasOpenSend,
  concludes: (isStale) => !isStale,
};

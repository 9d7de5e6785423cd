// The seventeen canonical crash points of an effect as data: what each is called here, and why some contracts have none.
import { CrashPoint } from '../../../activities/effects/crash-points.ts';

/** In the order in which one effect passes them; the numbers are the canonical ones. */
export const POINTS = {
  0: 'before intent',
  1: 'intent commit ambiguous',
  2: 'intent acked',
  3: 'lease and fence grant ambiguous',
  4: 'just before send',
  5: 'mid-request',
  6: 'applied, response lost',
  7: 'response in memory',
  8: 'outcome commit ambiguous',
  9: 'outcome acked',
  10: 'result encode',
  11: 'returned, ack lost',
  12: 'before probe',
  13: 'after probe',
  14: 'decision commit',
  15: 'wait for a lease',
  16: 'conclusion from silence',
} as const;
export type Point = keyof typeof POINTS;

export const ALL_POINTS = Object.keys(POINTS).map(Number) as Point[];

/** Where Pawl's hook for each point is. Pawl renews no lease, so 15 is the wait for another's; 16 is its only use of time. */
export const HOOKS = {
  0: CrashPoint.BeforeIntent,
  1: CrashPoint.IntentCommit,
  2: CrashPoint.AfterIntent,
  3: CrashPoint.DispatchCommit,
  4: CrashPoint.BeforeSend,
  // 5 by itself, 6 from outside, when the receiver has done it and nobody has read its answer.
  5: CrashPoint.MidRequest,
  6: CrashPoint.MidRequest,
  7: CrashPoint.BeforeSettle,
  8: CrashPoint.SettleCommit,
  9: CrashPoint.AfterSettle,
  10: CrashPoint.BeforeReturn,
  11: CrashPoint.AfterReturn,
  12: CrashPoint.BeforeProbe,
  13: CrashPoint.AfterProbe,
  // The approving client has written its row and reached nobody; the worker dies when it finds that row.
  14: CrashPoint.AfterDecision,
  15: CrashPoint.LeaseWait,
  16: CrashPoint.BeforeDoubt,
} as const satisfies Record<Point, CrashPoint>;

const ONLY_ASKED = 'only a receiver that can be asked is probed, and only reconcilable effects ask';

/** Why no effect of a contract passes a point, whatever its receiver does. */
export const ABSENT: Readonly<Record<string, Partial<Record<Point, string>>>> = {
  read: {
    ...same([0, 1, 2, 3], 'nothing of a read is in the ledger: its life begins at 4'),
    ...same([8, 9], 'nothing of a read is in the ledger: no outcome is committed'),
    10: 'nothing lies between the answer in memory (7) and the return (11)',
    ...same([12, 13], 'a read is repeated, never asked about'),
    14: 'a read needs no approval',
    15: 'a read takes no lease',
    16: 'a read is repeated, never concluded about',
  },
  transactional: {
    3: 'permit, rows and outcome are one commit: it is 8',
    ...same([12, 13], 'the row in the ledger decides: nobody is asked'),
    15: 'the permit lives and dies with the transaction: there is no lease to outlive it',
    16: 'nothing is concluded from silence: the row is there or it is not',
  },
  keyed: { ...same([12, 13], ONLY_ASKED) },
  reconcilable: { 16: 'its silence is asked about: the look-up answers' },
  once: { ...same([12, 13], ONLY_ASKED) },
};

function same(points: readonly Point[], reason: string): Partial<Record<Point, string>> {
  return Object.fromEntries(points.map((point) => [point, reason]));
}

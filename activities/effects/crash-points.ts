// Named places where a worker may die around an effect; a hook that costs nothing when no test has set it.

/** In the order in which one effect passes them. `…-commit`: the commit is on the wire, its answer is never read. */
export const CrashPoint = {
  BeforeIntent: 'before-intent',
  IntentCommit: 'intent-commit',
  AfterIntent: 'after-intent',
  AfterDecision: 'after-decision',
  BeforeDispatch: 'before-dispatch',
  DispatchCommit: 'dispatch-commit',
  BeforeSend: 'before-send',
  MidRequest: 'mid-request',
  AfterSend: 'after-send',
  BeforeSettle: 'before-settle',
  SettleCommit: 'settle-commit',
  AfterSettle: 'after-settle',
  BeforeReturn: 'before-return',
  AfterReturn: 'after-return',
  LeaseWait: 'lease-wait',
  BeforeProbe: 'before-probe',
  AfterProbe: 'after-probe',
  BeforeDoubt: 'before-doubt',
  BeforeModelCall: 'before-model-call',
  AfterModelCall: 'after-model-call',
  AfterModelAnswer: 'after-model-answer',
  AfterModelCommit: 'after-model-commit',
} as const;
export type CrashPoint = (typeof CrashPoint)[keyof typeof CrashPoint];

/** Called at each point with what passes it: the tool's name, or the model's. */
export type CrashHook = (point: CrashPoint, subject: string) => void | Promise<void>;

/** Production: nothing happens. */
export const noCrash: CrashHook = () => undefined;

/**
 * The hook that `PAWL_CRASH_AT=point[:subject[:nth]]` asks for: SIGKILL to this very process at the nth passage.
 * Throws a `TypeError` that lists the points when the name is none.
 */
export function crashHookFrom(setting: string | undefined): CrashHook {
  if (!setting) return noCrash;
  const [point, subject = '', nth = '1'] = setting.split(':');
  const known: readonly string[] = Object.values(CrashPoint);
  if (!point || !known.includes(point)) {
    throw new TypeError(`PAWL_CRASH_AT="${setting}": the crash points are ${known.join(', ')}`);
  }
  let left = Number(nth);
  return (reached, by) => {
    if (reached !== point || (subject !== '' && subject !== by)) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  };
}

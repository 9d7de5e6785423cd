// The workflow of one effect, as workflows/settle-step.ts carries it: looks until the end is definite, or nobody can know.
import type { Json } from '../../domain/rules/json.ts';
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import type { Server, Work } from './server.ts';
import type { World } from './world.ts';

/** What a workflow asks of its workers. */
export interface Activities {
  perform(seqSeen: number): Work;
  writeBack(outcome: Extract<EffectOutcome, { kind: 'unrecorded' }>): Work;
}

export interface Workflow {
  isRunning(): boolean;
  /** Nobody will hear of it again; its activities go on where they are. */
  terminate(): void;
  /** `pawl.settled`. */
  wake(): void;
  /** Everything that it was told, in order. */
  readonly told: readonly EffectOutcome[];
  /** Why it failed, when it did; no effect may make it. */
  failure(): unknown;
}

const LOOK_MS = 60_000;
const LOOK_MAX_MS = 3_600_000;
/** A doubt that is older stays for ever: nothing is under way, and a human would have settled it. */
const DOUBT_MAX_MS = 400_000;
const LOOKS_MAX = 60;

/** Starts the workflow; `onDoubt` is its inbox. */
export function startWorkflow(
  world: World,
  server: Server,
  activities: Activities,
  onDoubt: () => void,
): Workflow {
  const told: EffectOutcome[] = [];
  let state: 'running' | 'ended' = 'running';
  let failure: unknown;
  let wake = (): void => undefined;
  const wait = (delayMs: number): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      world.time.after(Math.min(LOOK_MAX_MS, delayMs), resolve);
    });

  async function run(): Promise<void> {
    let seqSeen = 0;
    let doubtfulSinceMs: number | undefined;
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      // Terminated while it slept.
      if (state === 'ended') return;
      const outcome = (await server.execute('pay', activities.perform(seqSeen))) as EffectOutcome;
      world.note('workflow', `is told ${outcome.kind}`);
      told.push(outcome);
      if ('seq' in outcome) seqSeen = Math.max(seqSeen, outcome.seq);
      switch (outcome.kind) {
        case 'applied':
        case 'refused':
        case 'failed':
          return;
        case 'unrecorded':
          seqSeen = Math.max(
            seqSeen,
            (await server.execute('write back', activities.writeBack(outcome))) as number,
          );
          break;
        case 'in_doubt':
          doubtfulSinceMs ??= world.time.nowMs();
          if (world.time.nowMs() > doubtfulSinceMs + DOUBT_MAX_MS) return;
          onDoubt();
          await wait(LOOK_MS * 2 ** looks);
          break;
        case 'pending':
        case 'awaiting_approval':
        case 'paused':
          await wait(LOOK_MS * 2 ** looks);
      }
    }
    throw new Error(`no end after ${LOOKS_MAX} looks`);
  }

  run()
    .catch((error: unknown) => (failure = error))
    .finally(() => {
      world.note('workflow', failure ? `failed: ${String(failure)}` : 'ends');
      state = 'ended';
    });
  return {
    isRunning: () => state === 'running',
    terminate() {
      if (state === 'ended') return;
      world.note('workflow', 'is terminated');
      state = 'ended';
      server.terminate();
    },
    wake: () => wake(),
    told,
    failure: () => failure,
  };
}

/** The output that the workflow was told, whichever way it came. */
export function toldOutputs(told: readonly EffectOutcome[]): readonly Json[] {
  return told.flatMap((outcome) => {
    // A worker that froze over a whole 2xx has no output; that it is applied once, the receipts tell.
    const isUnread = 'outputProblem' in outcome && outcome.outputProblem !== undefined;
    if (outcome.kind === 'applied')
      return isUnread && outcome.output === null ? [] : [outcome.output];
    if (outcome.kind !== 'unrecorded') return [];
    return outcome.facts.flatMap((fact) => (fact.kind === 'applied' ? [fact.output] : []));
  });
}

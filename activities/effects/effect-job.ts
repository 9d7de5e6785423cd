// What one attempt on one effect is given: the engine's ports and the job.
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Clock } from '../clock.ts';
import type { Claim, EffectIntent, EffectLedger, EffectRecord } from '../ledger/effect-ledger.ts';
import type { IsGivenUp } from '../heartbeat.ts';
import type { CrashHook } from './crash-points.ts';
import type { Authority } from './gate.ts';
import type { Wire } from './wire.ts';

export interface EngineDeps {
  readonly ledger: EffectLedger;
  readonly wire: Wire;
  readonly crash: CrashHook;
  readonly clock: Clock;
  /** In [0, 1); injected so that a seeded run repeats. */
  readonly random: () => number;
  /** Signs outcomes that the ledger could not take. @default they travel unsigned, and are not stored */
  readonly keySecret?: Buffer;
}

export interface EffectJob {
  readonly tool: AnyTool;
  readonly tenant: string;
  readonly id: string;
  readonly rootKey: string;
  /** Stored first when the ledger does not know the effect yet; absent when the model step has stored it. */
  readonly intent?: EffectIntent;
  /** Whose effect it has to be, where no `intent` says so: an id that Temporal names may be another run's. */
  readonly expects?: Expected | undefined;
  /** By which an older build may have stored the same intent. */
  readonly olderFingerprint?: string | undefined;
  /** The effect as this process has just stored it: its first look at the ledger is spared. */
  readonly stored?: EffectRecord | undefined;
  readonly claim: Claim;
  /** The highest ledger sequence that the workflow has seen. */
  readonly seqSeen: number;
  readonly authority?: Authority;
  /** Asked right before the permit. @default never */
  readonly isGivenUp?: IsGivenUp;
}

export type Expected = Pick<EffectIntent, 'runKey' | 'rootKey' | 'tool' | 'compensates'>;

/** What of an effect is another one's than the job is for; undefined: it is the one. */
export function strayOf(
  { intent, expects = intent }: Pick<EffectJob, 'intent' | 'expects'>,
  record: Expected,
): string | undefined {
  if (!expects) return undefined;
  const isOf = (key: keyof Expected): boolean => expects[key] === record[key];
  return (['tool', 'runKey', 'rootKey', 'compensates'] as const).find((key) => !isOf(key));
}

export const neverGivenUp: IsGivenUp = () => false;

/** Before its permit Temporal gave the attempt up: its place is another one's, or nobody's when the workflow is gone. */
export class AttemptGivenUp extends Error {
  constructor() {
    super('Temporal has given this attempt up before it was permitted to send: nothing was sent');
    this.name = 'AttemptGivenUp';
  }
}

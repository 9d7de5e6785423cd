// What the activities of agent runs are built from: wired once in workers/.
import type { PriceTable } from '../../domain/rules/pricing.ts';
import type { Clock } from '../clock.ts';
import type { CrashHook } from '../effects/crash-points.ts';
import type { EffectEngine } from '../effects/effect-engine.ts';
import type { Wire } from '../effects/wire.ts';
import type { Database } from '../ledger/database.ts';
import type { EffectLedger } from '../ledger/effect-ledger.ts';
import type { ModelProviders } from '../models/model-registry.ts';
import type { AgentRegistry } from './agent-registry.ts';
import type { OriginOf } from './run-origin.ts';
import type { StoredEffects } from './stored-effects.ts';

export interface RunDeps {
  readonly database: Database;
  readonly ledger: EffectLedger;
  readonly engine: EffectEngine;
  readonly originOf: OriginOf;
  readonly storedEffects: StoredEffects;
  readonly registry: AgentRegistry;
  readonly providers: ModelProviders;
  readonly prices: PriceTable;
  readonly wire: Wire;
  readonly crash: CrashHook;
  readonly clock: Clock;
  /** In [0, 1); injected so that a seeded run repeats. */
  readonly random: () => number;
  /** The secret of the wire keys, from pawl.meta. */
  readonly keySecret: Buffer;
  /** Bodies are sealed: nothing of them goes into histories either. @default false */
  readonly isEncrypted?: boolean;
}

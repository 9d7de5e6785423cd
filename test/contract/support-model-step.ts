// What a model step needs to run for real on PostgreSQL, without a workflow around it.
import { systemClock } from '../../activities/clock.ts';
import { noCrash } from '../../activities/effects/crash-points.ts';
import type { Database } from '../../activities/ledger/database.ts';
import { readKeySecret } from '../../activities/ledger/postgres-effect-ledger.ts';
import type { ModelProvider } from '../../activities/models/model-provider.ts';
import { createAgentRegistry } from '../../activities/runs/agent-registry.ts';
import type { RunDeps } from '../../activities/runs/run-deps.ts';
import { createStoredEffects } from '../../activities/runs/stored-effects.ts';
import { PRICES } from '../../domain/rules/pricing.ts';

/** Every model is the provider's `model-1`. */
export async function createStepDeps(
  database: Database,
  agents: Parameters<typeof createAgentRegistry>[0],
  provider: ModelProvider,
): Promise<RunDeps> {
  return {
    database,
    registry: await createAgentRegistry(agents),
    providers: { names: [provider.name], resolve: () => ({ provider, model: 'model-1' }) },
    prices: PRICES,
    crash: noCrash,
    clock: systemClock,
    random: () => 0.5,
    storedEffects: createStoredEffects(),
    keySecret: await readKeySecret(database),
  } as unknown as RunDeps;
}

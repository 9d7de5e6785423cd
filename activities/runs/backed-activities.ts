// Pawl's own activities behind the question whether the ledger backs what Temporal says of their run.
import type { PawlActivities } from '../index.ts';
import {
  requireAnswered,
  requireOwnRun,
  requireParkable,
  type RunClaim,
  toClaim,
} from './backing.ts';
import type { ChildrenInput } from './children.ts';
import type { ModelStepInput } from './model-step-input.ts';
import type { RunDeps } from './run-deps.ts';

/** The same activities; those of a run answer to that run's own workflow only. Compensation and outcomes have checks of their own. */
export function backed(deps: RunDeps, activities: PawlActivities): PawlActivities {
  return {
    ...activities,
    'pawl.open': after((input) => requireOwnRun(deps, input), activities['pawl.open']),
    'pawl.model': after((input) => requireOwnRun(deps, ofModel(input)), activities['pawl.model']),
    'pawl.compact': after(
      (input) => requireOwnRun(deps, ofModel(input)),
      activities['pawl.compact'],
    ),
    'pawl.openChildren': after(
      (input) => requireOwnRun(deps, ofChildren(input)),
      activities['pawl.openChildren'],
    ),
    'pawl.collectChildren': after(
      (input) => requireOwnRun(deps, ofChildren(input)),
      activities['pawl.collectChildren'],
    ),
    'pawl.close': after(async ({ tenant, runKey, result }) => {
      await requireOwnRun(deps, { tenant, runKey });
      if (result.kind === 'completed') await requireAnswered(deps.database, { tenant, runKey });
    }, activities['pawl.close']),
    'pawl.park': after(
      ({ tenant, runKey }) => requireParkable(deps, { tenant, runKey }),
      activities['pawl.park'],
    ),
  };
}

function after<Input, Result>(
  check: (input: Input) => Promise<unknown>,
  activity: (input: Input) => Promise<Result>,
): (input: Input) => Promise<Result> {
  return async (input) => {
    await check(input);
    return activity(input);
  };
}

function ofModel(input: ModelStepInput): RunClaim {
  const { address, runKey, agent, agentHash, session = false, depthLeft } = input;
  return {
    ...toClaim(runKey, address),
    ...{ agent, agentHash, session, turn: address.turn },
    ...(depthLeft === undefined ? {} : { depthLeft }),
  };
}

function ofChildren({ runKey, address }: ChildrenInput): RunClaim {
  return toClaim(runKey, address);
}

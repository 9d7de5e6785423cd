// The lists of a client by name, for whoever wants all of one without knowing how it is read.
import type { EffectStatus } from '../domain/rules/effect.ts';
import type { ApprovalView } from './approval-views.ts';
import type { EffectView } from './effect-views.ts';
import { eachRow, type PageOptions } from './pages.ts';
import type { PawlClient } from './pawl-client.ts';
import type { ListOptions } from './run-list.ts';
import type { RunView } from './run-views.ts';
import type { StuckRunView } from './stuck-runs.ts';

export interface ApprovalsOptions extends PageOptions {
  /** Only those of one run. */
  readonly run?: string | undefined;
}

export interface EffectsOptions extends PageOptions {
  /** Only those of one run. */
  readonly run?: string | undefined;
  readonly status?: EffectStatus | undefined;
}

/** What each list takes, and what it holds. */
export interface Listed {
  runs: { readonly options: ListOptions; readonly row: RunView };
  approvals: { readonly options: ApprovalsOptions; readonly row: ApprovalView };
  effects: { readonly options: EffectsOptions; readonly row: EffectView };
  doubts: { readonly options: PageOptions; readonly row: EffectView };
  stuckRuns: { readonly options: PageOptions; readonly row: StuckRunView };
}

type Lists = {
  readonly [Kind in keyof Listed]: {
    read(options: Listed[Kind]['options']): Promise<Listed[Kind]['row'][]>;
    idOf(row: Listed[Kind]['row']): string;
  };
};

function listsOf(client: PawlClient): Lists {
  return {
    runs: { read: (options) => client.list(options), idOf: ({ runKey }) => runKey },
    approvals: { read: (options) => client.approvals(options), idOf: ({ id }) => id },
    effects: { read: (options) => client.effects(options), idOf: ({ effect }) => effect },
    doubts: { read: (options) => client.doubts(options), idOf: ({ effect }) => effect },
    stuckRuns: { read: (options) => client.stuckRuns(options), idOf: ({ runKey }) => runKey },
  };
}

/** See PawlClient.each. */
export function eachListed<Kind extends keyof Listed>(
  client: PawlClient,
  kind: Kind,
  options: Listed[Kind]['options'],
): AsyncGenerator<Listed[Kind]['row'], void, undefined> {
  const { read, idOf }: Lists[Kind] = listsOf(client)[kind];
  return eachRow<Listed[Kind]['row']>(options, (page) => read({ ...options, ...page }), idOf);
}

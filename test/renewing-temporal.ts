// A Temporal of a test's own that suggests continue-as-new early, so that a short run has several executions.
import { startTemporal, type TemporalServer } from '../devstack/servers/temporal-server.ts';

export function startRenewingTemporal(suggestAtEvents: number): Promise<TemporalServer> {
  const limit = { key: 'limit.historyCount.suggestContinueAsNew', value: suggestAtEvents };
  // By default the next execution may begin a second after the last: time for messages in between, but a long one.
  const interval = { key: 'history.workflowIdReuseMinimalInterval', value: '200ms' };
  return startTemporal({
    ephemeral: true,
    env: { ...process.env, TEMPORAL_ADDRESS: undefined },
    dynamicConfig: [limit, interval],
  });
}

// The settings of the Temporal development server; `deploy/temporal-dynamic-config.yaml` holds the
// same ones.

export interface DynamicConfigSetting {
  readonly key: string;
  readonly value: number | string | boolean | readonly string[];
}

export interface DynamicConfigValue extends DynamicConfigSetting {
  readonly why: string;
}

/**
 * Survives the kill of any process, not a power cut: WAL loses nothing then, NORMAL may lose the
 * last commits.
 */
export const TEMPORAL_SQLITE_PRAGMAS = ['journal_mode=WAL', 'synchronous=NORMAL'] as const;

/** Every dynamic configuration value that Pawl sets, and what happens without it. */
export const TEMPORAL_DYNAMIC_CONFIG: readonly DynamicConfigValue[] = [
  {
    key: 'history.transferProcessorMaxPollRPS',
    value: 2000,
    why: 'one shard is read 20 times a second by default: about 50 ms for each dispatch',
  },
  {
    key: 'history.timerProcessorMaxPollRPS',
    value: 2000,
    why: 'the same for timers and retries',
  },
  {
    key: 'history.timerProcessorMaxTimeShift',
    value: '50ms',
    why: 'timers and retries fire up to 1 s late by default',
  },
  {
    key: 'system.enableActivityEagerExecution',
    value: true,
    why: 'a worker gets the activities that it schedules at once: 41 ms a step instead of 92',
  },
  {
    key: 'matching.numTaskqueueReadPartitions',
    value: 1,
    why: 'one partition keeps priority and fairness exact; one machine needs no more',
  },
  {
    key: 'matching.numTaskqueueWritePartitions',
    value: 1,
    why: 'must equal the read partitions',
  },
  {
    key: 'matching.useNewMatcher',
    value: true,
    why: 'without it priority is silently ignored on server 1.29',
  },
  {
    key: 'matching.enableFairness',
    value: true,
    why: 'without it fairness keys are silently ignored on server 1.29',
  },
  {
    key: 'frontend.httpAllowedHosts',
    value: [],
    why: 'the HTTP API cannot be turned off and asks for no token: any page in a browser could start workflows. The UI and Pawl use gRPC',
  },
];

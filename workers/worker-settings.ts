// How a worker of Pawl differs from one of the SDK with nothing said; the benchmark's bare worker has the same.

export const WORKER_SETTINGS = {
  maxCachedWorkflows: 200,
  /** How long a dead worker's sticky queue keeps its tasks, where no supervisor sees the death. */
  stickyQueueScheduleToStartTimeout: '3s',
  /** The SDK would hold beats back for 0.8 of their time-out: one that comes a second late would be a death. */
  maxHeartbeatThrottleInterval: '1s',
  shutdownGraceTime: '20s',
} as const;

// Counts the requests of workers to Temporal, from the server's own Prometheus metrics.

/** Requests by operation. */
export type Rpcs = Readonly<Record<string, number>>;

/** What a client asks that starts runs and waits for them: the benchmark itself, not the contender. */
const OF_CLIENTS = new Set([
  'StartWorkflowExecution',
  'GetWorkflowExecutionHistory',
  'PollWorkflowExecutionHistory',
  'GetSystemInfo',
  'DescribeNamespace',
]);

/** The counters of the frontend for one namespace. */
export function parseRpcs(metrics: string, namespace: string): Rpcs {
  const counts: Record<string, number> = {};
  for (const line of metrics.split('\n')) {
    const [, labels = '', value = ''] = /^service_requests\{(.*)\} (\S+)$/.exec(line) ?? [];
    const label = (name: string): string | undefined =>
      new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1];
    if (label('namespace') !== namespace || label('service_name') !== 'frontend') continue;
    const operation = label('operation');
    if (operation === undefined || OF_CLIENTS.has(operation)) continue;
    counts[operation] = (counts[operation] ?? 0) + Number(value);
  }
  return counts;
}

/** What was asked between two readings. */
export function rpcsBetween(before: Rpcs, after: Rpcs): Rpcs {
  const entries = Object.entries(after).map(([operation, count]): [string, number] => [
    operation,
    count - (before[operation] ?? 0),
  ]);
  return Object.fromEntries(entries.filter(([, count]) => count > 0));
}

/** Reads them from a server's metrics address. */
export async function readRpcs(metricsUrl: string): Promise<Rpcs> {
  const answer = await fetch(metricsUrl);
  return parseRpcs(await answer.text(), 'default');
}

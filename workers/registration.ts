// Tells the ledger's database which agents and tools a live worker offers: `pawl tools` and `pawl run` read it.
import type { Database } from '../activities/ledger/database.ts';
import type { AgentRegistry, RegisteredAgent } from '../activities/runs/agent-registry.ts';
import { toJsonSchema } from '../activities/runs/agent-registry.ts';
import type { Json } from '../domain/rules/json.ts';
import type { AnyTool } from '../domain/schemas/define-tool.ts';
import type { WorkerConfig } from './config.ts';

const SEEN_EVERY_MS = 10_000;

/** Writes this worker's row and keeps it fresh; the returned function takes it away again. */
export async function announceWorker(
  database: Database,
  config: WorkerConfig,
  registry: AgentRegistry,
): Promise<() => Promise<void>> {
  const agents = Object.fromEntries(
    [...registry.agents].map(([name, agent]) => [name, describe(agent, config)]),
  );
  // Rows of workers that were killed stay behind: a day is enough for the curious.
  await database.query(
    `delete from pawl.workers where seen_at < clock_timestamp() - interval '1 day'`,
  );
  await database.query(
    `insert into pawl.workers (identity, task_queue, build_id, agents) values ($1, $2, $3, $4)
     on conflict (identity) do update set task_queue = excluded.task_queue, build_id = excluded.build_id,
       agents = excluded.agents, started_at = clock_timestamp(), seen_at = clock_timestamp()`,
    [config.identity, config.taskQueue, config.buildId, JSON.stringify(agents)],
  );
  const beat = setInterval(() => {
    database
      .query('update pawl.workers set seen_at = clock_timestamp() where identity = $1', [
        config.identity,
      ])
      .catch(() => undefined); // a missed beat shows as "not seen since"
  }, SEEN_EVERY_MS);
  beat.unref();
  return async () => {
    clearInterval(beat);
    await database
      .query('delete from pawl.workers where identity = $1', [config.identity])
      .catch(() => undefined); // the row ages out by itself
  };
}

function describe({ agent, pin, policy }: RegisteredAgent, { hosts }: WorkerConfig): Json {
  return {
    hash: pin.hash,
    inputSchema: toJsonSchema(agent.input),
    model: agent.model,
    policy: policy.hash,
    ...(hosts ? { egress: hosts } : {}),
    tools: agent.tools.map(describeTool),
  };
}

function describeTool(tool: AnyTool): Json {
  return {
    name: tool.name,
    description: tool.description,
    contract: tool.contract,
    keyRetentionMs: tool.keyRetentionMs ?? null,
    hasProbe: tool.declaration.probe !== undefined,
    hasIdentity: tool.declaration.identity !== undefined,
    timeoutMs: tool.timeoutMs,
    sendsMax: tool.sendsMax,
    parallel: tool.parallel,
    canCompensate: tool.compensation !== undefined,
    callsPerRunMax: tool.callsPerRunMax ?? null,
    ...(tool.egress ? { egress: tool.egress } : {}),
    maxAnswerBytes: tool.maxAnswerBytes,
    ...(tool.local ? { local: true } : {}),
    warnings: warningsOf(tool),
  };
}

/** What a careful reader of the declaration would ask about. */
function warningsOf(tool: AnyTool): string[] {
  if (tool.contract === 'read') return [];
  const warnings: string[] = [];
  if (!tool.declaration.identity) {
    warnings.push('no identity: the same intention in another turn or run is another effect');
  }
  if (tool.contract === 'once') {
    warnings.push('once: after a crash in the middle a human has to settle it');
  }
  if (tool.wire === 'own')
    warnings.push('owns its wire: it counts as sent from the moment it starts');
  return warnings;
}

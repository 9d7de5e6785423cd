// What a call to the model is made of, for a turn and for a compaction alike: flags, the pinned description, the request.
import type { Message, ModelRequest } from '../../domain/rules/transcript.ts';
import { fingerprint } from '../effects/fingerprint.ts';
import { createBoundedMap } from '../bounded-map.ts';
import type { AgentDescription } from './agent-registry.ts';
import type { ModelStepInput } from './model-step-input.ts';
import type { RunDeps } from './run-deps.ts';

export interface RunFlags {
  paused: boolean;
  cancelled: boolean;
  /** Of a session; read before the messages: once it is set, no message is added. */
  ended: boolean;
  requester: string;
}

export async function readFlags(
  deps: RunDeps,
  { address, runKey }: ModelStepInput,
): Promise<RunFlags> {
  const [row] = await deps.database.query<RunFlags>(
    `select c.paused_at is not null as paused, c.cancelled_at is not null as cancelled,
       c.ended_at is not null as ended, r.requester
     from pawl.runs r join pawl.controls c using (tenant, run_key)
     where r.tenant = $1 and r.run_key = $2`,
    [address.tenant, runKey],
  );
  return row ?? { paused: false, cancelled: false, ended: false, requester: 'unknown' };
}

/** Descriptions that this process has read: one is named by the hash of its content, so it never changes. */
const read = createBoundedMap<string, AgentDescription>(100);

export async function readDescription(
  deps: RunDeps,
  input: ModelStepInput,
): Promise<AgentDescription> {
  const name = `${input.address.tenant} ${input.agentHash}`;
  const known = read.get(name);
  if (known) return known;
  const [row] = await deps.database.query<{ description: AgentDescription }>(
    'select description from pawl.agent_versions where tenant = $1 and hash = $2',
    [input.address.tenant, input.agentHash],
  );
  if (!row) throw new Error(`the ledger has no agent description ${input.agentHash}`);
  read.set(name, row.description);
  return row.description;
}

/** Byte-stable from turn to turn: nothing in here depends on the clock, the worker or the turn. */
export function toRequest(
  description: AgentDescription,
  messages: readonly Message[],
): ModelRequest {
  return {
    model: '',
    system: systemPrompt(description),
    messages: messages.map(({ role, parts }) => ({ role, parts })),
    tools: description.tools,
    maxOutputTokens: description.maxOutputTokens,
  };
}

function systemPrompt({ instructions, outputSchema }: AgentDescription): string {
  if (outputSchema === null) return instructions;
  return (
    `${instructions}\n\nWhen you are done, answer with JSON only, without code fences, that matches this JSON Schema:\n` +
    JSON.stringify(outputSchema)
  );
}

/** The provider's key for one call: the same for every attempt at the same step. */
export function callKey(what: 'model' | 'compact', { address, runKey }: ModelStepInput): string {
  const { tenant, turn, generation } = address;
  return fingerprint([what, tenant, runKey, turn, generation]).slice(0, 32);
}

// Asks the receiver whether an effect happened; a probe only looks, and what it saw is appended as a fact.
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { EffectRecord, FactEntry } from '../ledger/effect-ledger.ts';
import { messageOf, outputProblem } from './attempt-send.ts';
import type { CrashHook } from './crash-points.ts';
import { toJson } from './fingerprint.ts';

export interface ProbeDeps {
  readonly wire: typeof fetch;
  readonly crash: CrashHook;
}

/** One probe as facts. A probe that throws is unclear, never absent. */
export async function probeOnce(
  { wire, crash }: ProbeDeps,
  tool: AnyTool,
  record: EffectRecord,
): Promise<readonly FactEntry[]> {
  const { probe } = tool.declaration;
  if (!probe) return [{ fact: { kind: 'doubted', reason: `${tool.name} has no probe any more` } }];
  await crash('before-probe', tool.name);
  const entry = await ask(probe, wire, tool, record);
  await crash('after-probe', tool.name);
  // A doubtful effect stays with a human until the receiver says something definite.
  if (entry.fact.kind !== 'probed_unclear' || record.state.status === 'in_doubt') return [entry];
  return [
    entry,
    { fact: { kind: 'doubted', reason: `the probe could not tell: ${entry.fact.reason}` } },
  ];
}

type Probe = NonNullable<AnyTool['declaration']['probe']>;

async function ask(
  probe: Probe,
  wire: typeof fetch,
  tool: AnyTool,
  record: EffectRecord,
): Promise<
  FactEntry & {
    fact: { kind: 'applied' | 'probed_absent' } | { kind: 'probed_unclear'; reason: string };
  }
> {
  try {
    const seen = await probe(record.arguments, {
      read: wire,
      idempotencyKey: record.wireKey,
      effect: record.shortId,
      signal: AbortSignal.timeout(tool.timeoutMs),
    });
    if (seen.kind === 'absent') return { fact: { kind: 'probed_absent' } };
    if (seen.kind === 'unclear') return { fact: { kind: 'probed_unclear', reason: seen.reason } };
    const output = toJson(seen.output);
    const problem = outputProblem(tool, output);
    return {
      fact: { kind: 'applied', source: 'probe', output },
      ...(problem === undefined ? {} : { outputProblem: problem }),
    };
  } catch (error) {
    return { fact: { kind: 'probed_unclear', reason: messageOf(error) } };
  }
}

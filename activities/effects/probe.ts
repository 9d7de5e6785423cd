// Asks the receiver whether an effect happened; a probe only looks, and what it saw is stored as a fact.
import { SETTLE_WINDOW_MS } from '../../domain/rules/next-move.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { EffectLedger, EffectRecord, FactEntry } from '../ledger/effect-ledger.ts';
import { type Clock, withDeadline } from '../clock.ts';
import type { CrashHook } from './crash-points.ts';
import { clip, textOf } from './clip.ts';
import { judgeOutput } from './judge-output.ts';
import { parseArguments } from './tool-run.ts';

export interface ProbeDeps {
  readonly ledger: EffectLedger;
  readonly wire: typeof fetch;
  readonly crash: CrashHook;
  readonly clock: Clock;
}

/**
 * One probe of an effect that was looked at, at `nowMs` of the database's clock. What it finds is a fact; all else is
 * concluded from that look, and is left out when the effect has changed since.
 */
export async function probeOnce(
  deps: ProbeDeps,
  tool: AnyTool,
  record: EffectRecord,
  nowMs: number,
): Promise<void> {
  const entries = await look(deps, tool, record, nowMs);
  const isFound = entries.some(({ fact }) => fact.kind === 'applied');
  if (isFound) await deps.ledger.append(record.tenant, record.id, entries, record);
  else await deps.ledger.conclude(record, entries);
}

/** A probe that throws is unclear, never absent. */
async function look(
  { wire, crash, clock }: ProbeDeps,
  tool: AnyTool,
  record: EffectRecord,
  nowMs: number,
): Promise<readonly FactEntry[]> {
  const { probe } = tool.declaration;
  if (!probe) return [{ fact: { kind: 'doubted', reason: `${tool.name} has no probe any more` } }];
  await crash('before-probe', tool.name);
  // Of the last send that was known when it looked.
  const entry = { ...(await ask(probe, { wire, clock }, tool, record)), fence: record.fence };
  await crash('after-probe', tool.name);
  // What was sent at the very end of the lease may not be visible yet: this absent proves nothing.
  if (
    entry.fact.kind === 'probed_absent' &&
    nowMs < (record.leaseUntilMs ?? 0) + SETTLE_WINDOW_MS
  ) {
    return [{ fact: { kind: 'probed_unclear', reason: 'absent, but the settle window is open' } }];
  }
  // What is doubtful stays with a human, and what was accepted with the receiver, until it says something definite.
  const isWaiting = record.state.status === 'in_doubt' || record.state.isPending;
  if (entry.fact.kind !== 'probed_unclear' || isWaiting) return [entry];
  return [
    entry,
    { fact: { kind: 'doubted', reason: `the probe could not tell: ${entry.fact.reason}` } },
  ];
}

type Probe = NonNullable<AnyTool['declaration']['probe']>;

async function ask(
  probe: Probe,
  { wire, clock }: Pick<ProbeDeps, 'wire' | 'clock'>,
  tool: AnyTool,
  record: EffectRecord,
): Promise<
  FactEntry & {
    fact: { kind: 'applied' | 'probed_absent' } | { kind: 'probed_unclear'; reason: string };
  }
> {
  try {
    const input = await parseArguments(tool, record);
    const seen = await withDeadline(clock, tool.timeoutMs, (signal) =>
      probe(input.kind === 'valid' ? input.value : record.arguments, {
        read: wire,
        idempotencyKey: record.wireKey,
        effect: record.shortId,
        signal,
      }),
    );
    if (seen.kind === 'absent') return { fact: { kind: 'probed_absent' } };
    if (seen.kind === 'unclear') {
      return { fact: { kind: 'probed_unclear', reason: clip(textOf(seen.reason)) } };
    }
    const { output, ...problem } = await judgeOutput(tool, seen.output);
    return { fact: { kind: 'applied', source: 'probe', output }, ...problem };
  } catch (error) {
    return { fact: { kind: 'probed_unclear', reason: describeThrown(error) } };
  }
}

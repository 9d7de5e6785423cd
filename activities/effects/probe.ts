// Asks the receiver whether an effect happened; a probe only looks, and what it saw is stored as a fact.
import type { Fact } from '../../domain/rules/effect.ts';
import { LOOK_PATIENCE_MS, SETTLE_WINDOW_MS } from '../../domain/rules/next-move.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import { type AnyTool, type Probe, probeOf } from '../../domain/schemas/define-tool.ts';
import type { ProbeResult } from '../../domain/schemas/outcomes.ts';
import type { EffectLedger, EffectRecord, FactEntry } from '../ledger/effect-ledger.ts';
import { type Clock, withDeadline } from '../clock.ts';
import type { CrashHook } from './crash-points.ts';
import { clip, textOf } from './clip.ts';
import { judgeOutput } from './judge-output.ts';
import { settleWithin } from './settle-within.ts';
import { parseArguments } from './tool-run.ts';
import { type Wire, wireFor } from './wire.ts';

export interface ProbeDeps {
  readonly ledger: EffectLedger;
  readonly wire: Wire;
  readonly crash: CrashHook;
  readonly clock: Clock;
  /** A look takes no longer than this, whatever the tool says. @default the tool's own time-out */
  readonly lookMaxMs?: number;
}

/** What a look has found, and what is open after it. */
export type Probed =
  /** Stored, as far as it counts: look at the ledger again. */
  | { readonly kind: 'answered' }
  /** The receiver does not have it yet; before then that proves nothing. */
  | { readonly kind: 'too-early'; readonly untilMs: number }
  /** It could not be asked: ask again, after at least so long. */
  | { readonly kind: 'failed'; readonly reason: string; readonly afterMs: number };

/**
 * One probe of an effect that was looked at, at `nowMs` of the database's clock. What it finds is a fact; all else is
 * concluded from that look, and is left out when the effect has changed since.
 */
export async function probeOnce(
  deps: ProbeDeps,
  tool: AnyTool,
  record: EffectRecord,
  nowMs: number,
): Promise<Probed> {
  const { entries, probed } = await look(deps, tool, record, nowMs);
  const isFound = entries.some(({ fact }) => fact.kind === 'applied');
  if (isFound) await deps.ledger.append(record.tenant, record.id, entries, record);
  else await deps.ledger.conclude(record, entries);
  return probed;
}

interface Looked {
  readonly entries: readonly FactEntry[];
  readonly probed: Probed;
}

const ANSWERED: Probed = { kind: 'answered' };

/** A probe that throws is never absent: it says nothing. */
async function look(
  deps: ProbeDeps,
  tool: AnyTool,
  record: EffectRecord,
  nowMs: number,
): Promise<Looked> {
  const probe = probeOf(tool);
  if (!probe) return doubted([], `${tool.name} has no probe any more`);
  const { crash } = deps;
  await crash('before-probe', tool.name);
  // Of the last send that was known when it looked.
  const entry = { ...(await ask(probe, deps, tool, record)), fence: record.fence };
  await crash('after-probe', tool.name);
  const { fact } = entry;
  const settledAtMs = (record.leaseUntilMs ?? 0) + (record.settleMs ?? SETTLE_WINDOW_MS);
  // What was sent at the very end of the lease may not be visible yet: this absent proves nothing.
  if (fact.kind === 'probed_absent' && nowMs < settledAtMs) {
    const early: Fact = { kind: 'probed_unclear', reason: 'absent, but the settle window is open' };
    return { entries: [{ fact: early }], probed: { kind: 'too-early', untilMs: settledAtMs } };
  }
  // What is doubtful stays with a human, and what was accepted with the receiver, until it says something definite.
  const isWaiting = record.state.status === 'in_doubt' || record.state.isPending;
  if (fact.kind !== 'probed_unclear' || isWaiting) return { entries: [entry], probed: ANSWERED };
  return afterUnclear(entry, fact, nowMs - (record.probeFailingSinceMs ?? nowMs));
}

const AGAIN_MIN_MS = 500;
const AGAIN_MAX_MS = 15_000;

/** A receiver that says that it cannot tell is believed; one that could not be asked is asked again for a while. */
function afterUnclear(entry: FactEntry, { reason, hasFailed }: Unclear, failingMs: number): Looked {
  if (!hasFailed) return doubted([entry], `the probe could not tell: ${reason}`);
  if (failingMs >= LOOK_PATIENCE_MS) {
    const seconds = Math.round(failingMs / 1_000);
    return doubted([entry], `the probe could not tell: it has failed for ${seconds} s: ${reason}`);
  }
  // As long as it has failed already: each pause about doubles that.
  const afterMs = Math.min(Math.max(failingMs, AGAIN_MIN_MS), AGAIN_MAX_MS);
  return { entries: [entry], probed: { kind: 'failed', reason, afterMs } };
}

function doubted(before: readonly FactEntry[], reason: string): Looked {
  return { entries: [...before, { fact: { kind: 'doubted', reason } }], probed: ANSWERED };
}

type Unclear = Extract<Fact, { kind: 'probed_unclear' }>;
type Seen = Extract<Fact, { kind: 'applied' | 'probed_absent' }> | Unclear;

async function ask(
  { look: lookUp }: Probe<unknown, unknown>,
  { wire, clock, lookMaxMs = Infinity }: ProbeDeps,
  tool: AnyTool,
  record: EffectRecord,
): Promise<FactEntry & { readonly fact: Seen }> {
  const { read, whyFailed } = watchReads(wireFor(wire, tool));
  const { wireKey: idempotencyKey, shortId: effect } = record;
  const timeoutMs = Math.min(tool.timeoutMs, lookMaxMs);
  try {
    const input = await parseArguments(tool, record);
    const value = input.kind === 'valid' ? input.value : record.arguments;
    // One that does not listen to its signal is left behind.
    const ran = await withDeadline(clock, timeoutMs, (signal) =>
      settleWithin((async () => lookUp(value, { read, idempotencyKey, effect, signal }))(), signal),
    );
    if (!ran.ok) return failed(describeThrown(ran.error));
    const seen = ran.output as ProbeResult<unknown>;
    if (seen.kind === 'found') {
      const { output, ...problem } = await judgeOutput(tool, seen.output);
      return { fact: { kind: 'applied', source: 'probe', output }, ...problem };
    }
    // What it makes of an answer that is none is not the receiver's word.
    const why = whyFailed();
    if (why !== undefined) return failed(why);
    if (seen.kind === 'absent') return { fact: { kind: 'probed_absent' } };
    return { fact: { kind: 'probed_unclear', reason: clip(textOf(seen.reason)) } };
  } catch (error) {
    return failed(describeThrown(error));
  }
}

function failed(reason: string): { readonly fact: Unclear } {
  return { fact: { kind: 'probed_unclear', reason, hasFailed: true } };
}

/** Statuses by which a receiver says that it is not able to answer now. */
function isNoAnswer(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

/** The probe's reads, and why the last one of them got no answer: code that does not look at the status reads `[]`. */
function watchReads(wire: typeof fetch): {
  readonly read: typeof fetch;
  readonly whyFailed: () => string | undefined;
} {
  let why: string | undefined;
  const read: typeof fetch = async (input, init) => {
    why = 'its last request got no answer';
    const answer = await wire(input, init);
    why = isNoAnswer(answer.status) ? `HTTP ${answer.status}` : undefined;
    return answer;
  };
  return { read, whyFailed: () => why };
}

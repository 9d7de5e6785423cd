// What the workflow is told of an effect: read from the ledger, or carried past it while it is down.
import { nextDelayMs } from '../../domain/rules/backoff.ts';
import type { EffectOutcome, Unrecorded } from '../../domain/rules/effect-outcome.ts';
import type { Json } from '../../domain/rules/json.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import { withDeadline } from '../clock.ts';
import { toErrorCode } from '../error-facts.ts';
import { LedgerUnavailable } from '../ledger/database.ts';
import type { AppendAnswer, EffectRecord, FactEntry } from '../ledger/effect-ledger.ts';
import type { EffectJob, EngineDeps } from './effect-job.ts';
import { outcomeMac } from './outcome-mac.ts';

/** Stores observations of the job's effect. */
export function append(
  deps: EngineDeps,
  job: EffectJob,
  entries: readonly FactEntry[],
  seen?: EffectRecord,
): Promise<AppendAnswer> {
  return deps.ledger.append(job.tenant, job.id, entries, seen);
}

const APPEND_PATIENCE_MS = 5_000;

/** After a send the outcome must not be lost: while the ledger is down it travels through Temporal's history. */
export async function appendOrCarry(
  deps: EngineDeps,
  job: EffectJob,
  entries: readonly FactEntry[],
  seen?: EffectRecord,
): Promise<AppendAnswer | EffectOutcome> {
  const givesUpAtMs = deps.clock.nowMs() + APPEND_PATIENCE_MS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await within(deps, givesUpAtMs, append(deps, job, entries, seen));
    } catch (error) {
      if (!(error instanceof LedgerUnavailable)) {
        const storable = withoutOutput(entries, error);
        if (!storable) throw error;
        return appendOrCarry(deps, job, storable, seen);
      }
      if (deps.clock.nowMs() >= givesUpAtMs) {
        // Only an outcome can travel: what is open stays open, and the next attempt finds it so.
        if (!entries.some(({ fact }) => isWorthCarrying(fact.kind))) throw error;
        return { kind: 'unrecorded', ...toUnrecorded(deps, job, entries) };
      }
      await deps.clock.sleep(
        nextDelayMs({ attempt, baseMs: 50, capMs: 1_000, random: deps.random() }),
      );
    }
  }
}

/** What PostgreSQL says of a value that it can't hold: data exceptions, and limits of the program. */
const UNSTORABLE = /^(22|54)/;

/** The outcome without its output, where that is what the database refuses; undefined: it is not. */
function withoutOutput(
  entries: readonly FactEntry[],
  error: unknown,
): readonly FactEntry[] | undefined {
  const hasOutput = entries.some(({ fact }) => fact.kind === 'applied' && fact.output !== null);
  if (!hasOutput || !UNSTORABLE.test(toErrorCode(error))) return undefined;
  return entries.map((entry) => {
    const { fact } = entry;
    if (fact.kind !== 'applied') return entry;
    const outputProblem = `the ledger cannot hold it: ${describeThrown(error)}`;
    return { ...entry, fact: { ...fact, output: null }, outputProblem };
  });
}

function toUnrecorded(
  { keySecret }: EngineDeps,
  { tenant, id: effect }: EffectJob,
  entries: readonly FactEntry[],
): Unrecorded {
  const { fence } = entries.find((entry) => entry.fence !== undefined) ?? {};
  const { outputProblem } = entries.find((entry) => entry.outputProblem !== undefined) ?? {};
  let problem = outputProblem;
  const facts = entries.map(({ fact }) => {
    if (fact.kind !== 'applied') return fact;
    const told = toHistory(fact.output, problem);
    problem = told.outputProblem;
    return { ...fact, output: told.output };
  });
  const outcome = { effect, facts, fence, outputProblem: problem };
  return { ...outcome, ...(keySecret ? { mac: outcomeMac(keySecret, tenant, outcome) } : {}) };
}

/** Temporal refuses payloads of 2 MB, and would fail the activity that has the outcome. */
const HISTORY_BYTES_MAX = 1_500_000;

/** An output as a history can carry it: a larger one stays in the ledger. */
function toHistory(
  output: Json,
  outputProblem: string | undefined,
): { readonly output: Json; readonly outputProblem?: string } {
  const bytes = Buffer.byteLength(JSON.stringify(output));
  if (bytes <= HISTORY_BYTES_MAX) return { output, ...(outputProblem && { outputProblem }) };
  const problem = `its ${bytes} bytes are more than a workflow's history takes: return less`;
  return { output: null, outputProblem: outputProblem ?? problem };
}

/** A silent connection must not hold an outcome until the attempt's time is up; what it commits later is the same fact. */
function within<T>({ clock }: EngineDeps, untilMs: number, pending: Promise<T>): Promise<T> {
  const leftMs = Math.max(0, Math.ceil(untilMs - clock.nowMs()));
  return withDeadline(
    clock,
    leftMs,
    (late) =>
      new Promise((resolve, reject) => {
        const giveUp = (): void => reject(new LedgerUnavailable(late.reason));
        if (late.aborted) giveUp();
        else late.addEventListener('abort', giveUp, { once: true });
        pending.then(resolve, reject);
      }),
  );
}

/** Only an outcome can travel, or the word that it will come. */
function isWorthCarrying(kind: FactEntry['fact']['kind']): boolean {
  return kind === 'applied' || kind === 'refused' || kind === 'pending';
}

/** The same of what an append has returned. */
export function recorded({ record, seq }: AppendAnswer): EffectOutcome {
  return recordedOutcome(record, seq);
}

/** What the ledger says of an effect, as the workflow is told. */
export function recordedOutcome(record: EffectRecord, seq: number): EffectOutcome {
  const { status, code = '', reason = '' } = record.state;
  const effect = record.workflowId === null ? undefined : record.shortId;
  if (status === 'applied') {
    const told = toHistory(record.output, record.outputProblem ?? undefined);
    return { kind: 'applied', ...told, alreadyApplied: record.sameAs !== null, seq };
  }
  if (status === 'refused') return { kind: 'refused', code, message: reason, seq };
  if (status === 'dispatched') {
    const { reference, leaseUntilMs } = record;
    return { kind: 'pending', reference, untilMs: leaseUntilMs ?? 0, effect, seq };
  }
  return { kind: 'in_doubt', reason, effect, seq };
}

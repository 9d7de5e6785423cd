// One attempt at an effect that is rows in the ledger's own database: permit, rows and outcome are one commit.
import { isRefusal } from '../../domain/schemas/outcomes.ts';
import type { ToolContext } from '../../domain/schemas/tool-context.ts';
import { withDeadline } from '../clock.ts';
import type { AppendAnswer, EffectRecord, TransactionEnd } from '../ledger/effect-ledger.ts';
import { ToolThrew } from '../ledger/tool-transaction.ts';
import type { SendAnswer, SendDeps, SendJob } from './attempt-send.ts';
import { AttemptGivenUp } from './effect-job.ts';
import { judgeOutput } from './judge-output.ts';
import { toRefused } from './read-outcome.ts';
import { settleWithin } from './settle-within.ts';
import { parseArguments } from './tool-run.ts';
import { wireFor } from './wire.ts';

export type TransactionAnswer =
  | Exclude<SendAnswer, { kind: 'observed' | 'concluded' }>
  | ({ readonly kind: 'committed' } & AppendAnswer);

/** Throws `LedgerUnavailable` when the answer to the commit was lost: the next look at the row says what happened. */
export async function attemptTransaction(deps: SendDeps, job: SendJob): Promise<TransactionAnswer> {
  const { tool, record, claim, ignoresIdentity, warrant, isGivenUp } = job;
  const input = await parseArguments(tool, record);
  if (input.kind === 'invalid') return { kind: 'unsent', error: input.error };
  await deps.crash('before-dispatch', tool.name);
  if (isGivenUp()) throw new AttemptGivenUp();
  try {
    const answer = await deps.ledger.transact(
      {
        tenant: record.tenant,
        id: record.id,
        claim,
        callsPerRunMax: tool.callsPerRunMax,
        ignoresIdentity,
        warrant,
      },
      (transaction, granted) => runInside(deps, job, granted, input.value, transaction),
    );
    if (answer.kind === 'settled') return { ...answer, kind: 'committed' };
    return { kind: 'denied', answer };
  } catch (error) {
    if (error instanceof ToolThrew) return { kind: 'unsent', error: error.cause };
    throw error;
  }
}

async function runInside(
  deps: SendDeps,
  { tool, claim }: SendJob,
  record: EffectRecord,
  input: unknown,
  transaction: ToolContext['transaction'],
): Promise<TransactionEnd> {
  await deps.crash('before-send', tool.name);
  const context: Omit<ToolContext, 'signal'> = {
    fetch: refuseFetch,
    read: wireFor(deps.wire, tool),
    transaction,
    idempotencyKey: record.wireKey,
    effect: record.shortId,
    runKey: record.runKey,
    tenant: record.tenant,
  };
  const timeoutMs = Math.min(tool.timeoutMs, claim.leaseMs);
  const ran = await withDeadline(deps.clock, timeoutMs, (signal) =>
    settleWithin((async () => tool.run(input, { ...context, signal }))(), signal),
  );
  await deps.crash('before-settle', tool.name);
  const told = { fence: record.fence, attempt: claim.attempt };
  if (ran.ok) {
    const { output, ...problem } = await judgeOutput(tool, ran.output);
    const fact = { kind: 'applied', source: 'response', output } as const;
    return { entries: [{ fact, ...told, ...problem }], keepsRows: true };
  }
  if (!isRefusal(ran.error)) throw ran.error;
  const fact = { kind: 'refused', source: 'response', ...toRefused(ran.error) } as const;
  return { entries: [{ fact, ...told }], keepsRows: false };
}

const refuseFetch: typeof fetch = () =>
  Promise.reject(
    new TypeError(
      'a transactional tool writes by ctx.transaction only: what ctx.fetch sends could not be rolled back',
    ),
  );

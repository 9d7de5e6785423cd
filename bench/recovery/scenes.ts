// What is measured: the time from SIGKILL to the next request on the wire, and two waits of every day.
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../testing/until.ts';
import type { Manager } from './managers.ts';
import type { Site } from './site.ts';

/** A worker is killed at a random moment of this time after its run's first request: in and between activities. */
const KILL_WITHIN_MS = 900;
const TURNS = 8;
/** Several workers that die younger in a row would be a crash loop to the supervisor. */
const WORKER_LIVES_MS = 2_200;
const RUN_TIMEOUT_MS = 120_000;

export interface Kill {
  /** From the kill to the next request of each run, in milliseconds. */
  readonly nextMs: readonly number[];
  readonly violations: readonly string[];
}

/** Kills the one worker while so many runs are busy; then lets them end, and asks the bank. */
export async function killOnce(
  site: Site,
  manager: Manager,
  name: string,
  runs: number,
): Promise<Kill> {
  const pid = await manager.untilSteady();
  await sleep(WORKER_LIVES_MS);
  const names = Array.from({ length: runs }, (_, index) => `${name}.${index + 1}`);
  const started = await Promise.all(
    names.map((run) => site.client.start('payer', { name: run, turns: TURNS })),
  );
  await until(() => names.every((run) => requestTimes(site, run).length > 0), { everyMs: 5 });
  await sleep(Math.random() * KILL_WITHIN_MS);
  const killedAtMs = kill(pid);
  const ends = await Promise.all(started.map(({ runKey }) => endOf(site, runKey)));
  const nextMs = names.flatMap((run) => {
    const next = requestTimes(site, run).find((atMs) => atMs > killedAtMs);
    return next === undefined ? [] : [next - killedAtMs];
  });
  const violations = names.flatMap((run, index) => {
    const end = ends[index] ?? 'nothing';
    return [...(end === 'completed' ? [] : [`${run}: ${end}`]), ...receiptViolations(site, run)];
  });
  return { nextMs, violations };
}

/** How a run ended, or how it stands when it is given up. */
async function endOf({ client }: Site, runKey: string): Promise<string> {
  const signal = AbortSignal.timeout(RUN_TIMEOUT_MS);
  const end = await client.result(runKey, { signal }).catch(() => undefined);
  if (end) return end.result?.kind ?? 'no result';
  const { run } = await client.show(runKey);
  return `${run.status} after ${RUN_TIMEOUT_MS} ms, stuck: ${JSON.stringify(run.stuckCause)}`;
}

/** The moment just before: what the dead process sent is older. */
function kill(pid: number): number {
  process.kill(pid, 'SIGKILL');
  return Date.now();
}

/** When a run asked its model or its bank, in milliseconds since the epoch. */
function requestTimes({ bank, provider }: Site, run: string): number[] {
  const mark = `"${run}-`;
  const bankTimes = bank.requests().filter(({ body }) => body.includes(mark));
  const input = `\\"name\\":\\"${run}\\"`;
  const modelTimes = provider.requests().filter(({ body }) => body.includes(input));
  return [...bankTimes, ...modelTimes].map(({ atMs }) => atMs).sort((a, b) => a - b);
}

function receiptViolations({ bank }: Site, run: string): string[] {
  const counts = new Map<string, number>();
  for (const { reference } of bank.receipts()) {
    counts.set(reference, (counts.get(reference) ?? 0) + 1);
  }
  return Array.from({ length: TURNS }, (_, turn) => `${run}-${turn + 1}`).flatMap((reference) => {
    const count = counts.get(reference) ?? 0;
    return count === 1 ? [] : [`${reference}: ${count} receipts at the bank`];
  });
}

/** Start accepted to the first request of the run's model, in milliseconds; on an idle worker, one after the other. */
export async function firstStepMs(site: Site, name: string): Promise<number> {
  const { runKey } = await site.client.start('payer', { name, turns: 1 });
  const acceptedAtMs = Date.now();
  const asked = await until(() => requestTimes(site, name)[0], { everyMs: 2 });
  await site.client.result(runKey);
  return asked - acceptedAtMs;
}

/** Approval decided to the transfer at the bank, in milliseconds. */
export async function approvalToSendMs(site: Site, name: string): Promise<number> {
  const { runKey } = await site.client.start('asker', { name, turns: 1 });
  const approval = await until(async () => (await site.client.approvals({ run: runKey }))[0]);
  await site.client.approve(approval.id, { approver: 'a-human' });
  const decidedAtMs = Date.now();
  const reference = `${name}-1`;
  const sent = await until(
    () => site.bank.requests().find(({ body }) => body.includes(`"${reference}"`)),
    { everyMs: 2 },
  );
  await site.client.result(runKey);
  return sent.atMs - decidedAtMs;
}

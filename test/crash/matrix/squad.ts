// A few cells in one process: each runs to its point and stands there, then the process is killed; the survivor goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Blow, Cell } from './cells.ts';
import { type Found, judge, type Verdict } from './judge.ts';
import type { Hand, MatrixWorld } from './matrix-world.ts';
import { isInPlace, type Played, prepare, start } from './played.ts';
import { lookAt } from './seen.ts';
import { NO_SWEEPS_MS } from '../../../testing/no-sweeps.ts';

/**
 * Behind the first heartbeat and before the second: Temporal then dispatches again 5.5 s after the first dispatch, when the
 * lease of a `patient` tool has between 0.5 and 2 s left. An attempt that finds more of it waits in Temporal instead.
 */
const FIRST_BEAT_MS = 2_000;
const LOOK_EVERY_MS = 100;
/** From the order to the last one in place: a worker's start, a dispatch after a death, a few requests. */
const IN_PLACE_MS = 25_000;
const SHARP_MS = 15_000;
/** Decisions whose signal was lost are signalled again after 5 s. */
const DECIDED_MS = 45_000;
const ENDED_MS = 90_000;
/** A key's retention of 10 s is over, on everybody's clock. */
const EXPIRED_MS = 11_000;

export async function playSquad(
  world: MatrixWorld,
  cells: readonly Cell[],
  taskQueue: string,
): Promise<readonly Verdict[]> {
  const squad = await Promise.all(cells.map((cell, slot) => prepare(world, cell, slot)));
  const rounds = Math.max(...squad.map(({ course }) => course.blows.length));
  // All are started now: the next one is ready when the one before it dies.
  const hands = await Promise.all(
    Array.from({ length: rounds }, (_, at) => world.startHand(`${taskQueue}-${at + 1}`)),
  );
  for (const [round, hand] of hands.entries()) {
    await playRound(world, squad, taskQueue, hand, round);
    const expires = squad.some(({ cell }) => cell.mode.startsWith('key-expired'));
    if (round === 0 && expires) await sleep(EXPIRED_MS);
  }
  world.survivor.order({ taskQueue, blows: {}, reconcileEveryMs: reconcileEveryMs(squad) });
  const found = await untilEnded(world, squad);
  const verdicts = await Promise.all(found.map((each) => judge(world, each)));
  await leave(world, squad, taskQueue);
  return verdicts;
}

/** Only where a decision was never signalled; elsewhere it must not be the reconciler who settles. */
function reconcileEveryMs(squad: readonly Played[]): number {
  return squad.some(({ cell }) => cell.point === 14) ? 2_000 : NO_SWEEPS_MS;
}

async function playRound(
  world: MatrixWorld,
  squad: readonly Played[],
  taskQueue: string,
  hand: Hand,
  round: number,
): Promise<void> {
  const struckNow = squad.flatMap((played): [Played, Blow][] => {
    const blow = played.course.blows[round];
    return blow ? [[played, blow]] : [];
  });
  const blows = Object.fromEntries(struckNow.map(([{ tool }, blow]) => [tool, blow]));
  hand.order({ taskQueue, blows, reconcileEveryMs: reconcileEveryMs(squad) });
  const sharp = struckNow.filter(([, { isSharp }]) => isSharp);
  const patient = struckNow.filter(([, { isSharp }]) => !isSharp);
  if (round === 0) await Promise.all(patient.map(([played]) => start(world, played, taskQueue)));
  const isDecided = squad.some(({ cell }) => cell.point === 14);
  await untilInPlace(world, patient, hand, isDecided);
  if (round === 0 && squad.some(({ cell }) => cell.point === 15)) await sleep(FIRST_BEAT_MS);
  if (sharp.length > 0) {
    await Promise.all(sharp.map(([played]) => start(world, played, taskQueue)));
    await Promise.race([hand.gone, sleep(SHARP_MS, undefined, { ref: false })]);
  }
  await hand.kill();
  await count(world, struckNow, hand);
}

/** Returns also when some of them never come there: they are struck elsewhere. */
async function untilInPlace(
  world: MatrixWorld,
  struck: readonly [Played, Blow][],
  hand: Hand,
  isDecided: boolean,
): Promise<void> {
  const deadlineMs = Date.now() + (isDecided ? DECIDED_MS : IN_PLACE_MS);
  for (;;) {
    if (isDecided)
      await decide(
        world,
        struck.map(([played]) => played),
      );
    const standing = hand.standing();
    const there = await Promise.all(
      struck.map(([played, blow]) => isInPlace(world, played, blow, standing)),
    );
    if (there.every(Boolean) || Date.now() > deadlineMs) return;
    await sleep(LOOK_EVERY_MS);
  }
}

async function count(
  world: MatrixWorld,
  struck: readonly [Played, Blow][],
  hand: Hand,
): Promise<void> {
  const standing = hand.standing();
  for (const [played, blow] of struck) {
    if (await isInPlace(world, played, blow, standing)) played.struck += 1;
    else played.missed += 1;
  }
}

/** Says yes as a client that dies between its row and its signal. */
async function decide({ lonely, rows }: MatrixWorld, squad: readonly Played[]): Promise<void> {
  const open = await rows<{ id: string }>(
    `select a.id from pawl.approvals a
     left join pawl.decisions d on d.tenant = a.tenant and d.approval_id = a.id
     where a.workflow_id = any($1) and d.id is null`,
    [squad.map(({ runKey }) => runKey)],
  );
  for (const { id } of open) await lonely.approve(id, { approver: 'anna' });
}

async function untilEnded(world: MatrixWorld, squad: readonly Played[]): Promise<readonly Found[]> {
  const deadlineMs = Date.now() + ENDED_MS;
  for (;;) {
    const found = await Promise.all(squad.map((played) => lookAt(world, played)));
    if (found.every(({ end }) => end !== undefined) || Date.now() > deadlineMs) return found;
    await sleep(LOOK_EVERY_MS * 2);
  }
}

/** Nothing of the squad goes on: what is in doubt would look again for ever. */
async function leave(
  { temporal, survivor }: MatrixWorld,
  squad: readonly Played[],
  taskQueue: string,
): Promise<void> {
  survivor.end(taskQueue);
  await temporal.schedule.getHandle(`pawl-reconciler-${taskQueue}`).delete().catch(ignore);
  for (const { runKey } of squad) {
    if (runKey) await temporal.workflow.getHandle(runKey).terminate('played').catch(ignore);
  }
}

/** It may be over already. */
const ignore = (): void => undefined;

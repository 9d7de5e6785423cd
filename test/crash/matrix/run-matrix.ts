// Plays cells in squads, some squads side by side, until all are done or somebody stops it.
import { type Cell, courseOf, nameOf } from './cells.ts';
import type { Verdict } from './judge.ts';
import type { MatrixWorld } from './matrix-world.ts';
import { receiptsOf } from './played.ts';
import { playSquad } from './squad.ts';
import { SLOTS } from './tools.ts';

export interface MatrixOptions {
  readonly cells: readonly Cell[];
  /** Squads under way at once. */
  readonly width: number;
  readonly signal?: AbortSignal | undefined;
  /** Called behind every squad, with what is final. */
  readonly onVerdicts?: (verdicts: readonly Verdict[]) => void;
  /** A squad that could not be played at all: the harness's own trouble, never a verdict. */
  readonly onTrouble?: (cells: readonly Cell[], error: unknown) => void;
}

/** What was seen so far, also when it was stopped. */
export async function runMatrix(
  world: MatrixWorld,
  options: MatrixOptions,
): Promise<readonly Verdict[]> {
  // A decision that reached nobody needs the reconciler, which sweeps the whole ledger: nobody else is under way then.
  const quiet = options.cells.filter(({ point }) => point !== 14);
  const swept = options.cells.filter(({ point }) => point === 14);
  const seen: Verdict[] = [];
  for (const cells of [quiet, swept]) await playAll(world, { ...options, cells }, seen);
  return withLateReceipts(world, seen);
}

let squads = 0;

async function playAll(
  world: MatrixWorld,
  { cells, width, signal, onVerdicts, onTrouble }: MatrixOptions,
  seen: Verdict[],
): Promise<void> {
  const waiting = squadsOf(cells);
  const work = async (): Promise<void> => {
    for (let squad = waiting.shift(); squad && !signal?.aborted; squad = waiting.shift()) {
      squads += 1;
      try {
        const verdicts = await playSquad(world, squad, `squad-${squads}`);
        const again = squad.length > 1 ? verdicts.filter(mayBePlayedAgain) : [];
        waiting.push(...again.map(({ played }) => [played.cell]));
        const final = verdicts.filter((verdict) => !again.includes(verdict));
        seen.push(...final);
        onVerdicts?.(final);
      } catch (error) {
        if (!signal?.aborted) onTrouble?.(squad, error);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, work));
}

/** Its point was missed among others, and it ended as it may from anywhere: it is played once more, alone. */
function mayBePlayedAgain({ played, violations }: Verdict): boolean {
  return played.missed > 0 && violations.length === 0;
}

/** Cells that die alike share a process: as many deaths, as fast, and at most one that kills itself. */
export function squadsOf(cells: readonly Cell[]): (readonly Cell[])[] {
  const squads: { readonly kind: string; readonly cells: Cell[] }[] = [];
  for (const cell of cells) {
    const kind = kindOf(cell);
    const open = squads.find(
      (squad) =>
        squad.kind === kind &&
        squad.cells.length < SLOTS &&
        !(isSharp(cell) && squad.cells.some(isSharp)),
    );
    if (open) open.cells.push(cell);
    else squads.push({ kind, cells: [cell] });
  }
  return squads.map((squad) => squad.cells);
}

function kindOf(cell: Cell): string {
  const course = courseOf(cell);
  if (typeof course === 'string') throw new TypeError(`${nameOf(cell)}: ${course}`);
  const deaths = course.blows.length;
  if (cell.mode.startsWith('key-expired')) return `expired ${deaths}`;
  if (cell.point === 14) return 'decided';
  // A lease is waited for only by who comes before its end: whoever is slow would spoil it for all.
  if (cell.point === 15) return `lease ${cell.contract}`;
  return `${deaths} ${course.isLate ? 'late' : 'early'}`;
}

function isSharp(cell: Cell): boolean {
  const course = courseOf(cell);
  return typeof course !== 'string' && course.blows[0].isSharp === true;
}

/** The receivers' logs once more, when everything is over: what is done twice may be done late. */
function withLateReceipts(
  world: MatrixWorld,
  verdicts: readonly Verdict[],
): Promise<readonly Verdict[]> {
  const looked = verdicts.map(async (verdict): Promise<Verdict> => {
    const now = (await receiptsOf(world, verdict.played)).length;
    if (now === verdict.receipts) return verdict;
    const words = `${verdict.receipts} receipts when it ended, ${now} at last`;
    return {
      ...verdict,
      receipts: now,
      isDuplicated: now > 1,
      violations: [...verdict.violations, words],
    };
  });
  return Promise.all(looked);
}

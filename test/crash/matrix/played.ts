// One cell on its way: how it is set up at its receiver, how it is started, and what can be seen of it from outside.
import { ulid } from 'ulid';
import type { ModeKind, ReceiptLine, RequestLine } from '../../../devstack/receivers/index.ts';
import { AgentUnknownError } from '../../../client/index.ts';
import { eventually } from '../fixtures/world.ts';
import { type Blow, type Cell, type Course, courseOf, type Mode, nameOf } from './cells.ts';
import { arrangeInDatabase } from './bank-in-database.ts';
import type { MatrixWorld } from './matrix-world.ts';
import { mayBeLocal, toolName } from './tools.ts';

export interface Played {
  readonly cell: Cell;
  readonly course: Course;
  readonly tool: string;
  /** The business reference: what receipts and requests are found by. */
  readonly reference: string;
  /** Undefined until it is started. */
  runKey: string | undefined;
  /** The blows that found the effect at their point. */
  struck: number;
  missed: number;
}

/** Prepares a cell and its receiver; `slot` tells it from the others of its process. */
export async function prepare(world: MatrixWorld, cell: Cell, slot: number): Promise<Played> {
  const course = courseOf(cell);
  if (typeof course === 'string') throw new TypeError(`${nameOf(cell)}: ${course}`);
  const reference = `${nameOf(cell).replaceAll(' ', '-')}-${ulid().slice(-6).toLowerCase()}`;
  const played: Played = {
    ...{ cell, course, reference, runKey: undefined, struck: 0, missed: 0 },
    tool: toolName(cell.contract, course.variant, slot),
  };
  await arrange(world, played);
  return played;
}

/** The receivers' own words for our modes. */
const BANK_MODES: Readonly<Record<Mode, ModeKind | undefined>> = {
  ok: undefined,
  slow: 'slow',
  'reject-before': 'reject-before-commit',
  '500-before': '500-before',
  '500-after': '500-after',
  'timeout-before': 'hang-before-commit',
  'timeout-after': 'commit-then-hang',
  'reset-mid-body': 'reset-mid-body',
  '409-in-flight': '409-in-flight',
  '429': '429',
  'key-expired': 'key-expiry',
  'key-expired-asked': 'key-expiry',
};
/** Longer than the lease of a tool. */
const SLOW_MS = 4_000;
const RETENTION_MS = 10_000;

async function arrange(world: MatrixWorld, { cell, reference }: Played): Promise<void> {
  const { contract, mode } = cell;
  if (contract === 'transactional') {
    await arrangeInDatabase(world.rows, reference, mode);
    return;
  }
  if (mode.startsWith('key-expired')) {
    world.bank.setMode(reference, 'key-expiry', { maxAgeMs: RETENTION_MS });
    return;
  }
  if (contract === 'read') return arrangeLookUps(world, cell, reference);
  const bankMode = BANK_MODES[mode];
  const isSticky = mode === 'reject-before' || (mode === '500-after' && contract === 'keyed');
  const delay = mode === 'slow' ? { delayMs: SLOW_MS } : {};
  if (bankMode)
    world.bank.addMode(reference, bankMode, { ...(isSticky ? {} : { times: 1 }), ...delay });
  // Whoever declares no key gets a bank that has none.
  if (contract !== 'keyed') world.bank.addMode(reference, 'no-idempotency');
}

function arrangeLookUps({ bank }: MatrixWorld, { mode }: Cell, reference: string): void {
  const bankMode = mode === '500-after' ? '500-before' : BANK_MODES[mode];
  if (!bankMode || mode === 'reject-before') return;
  const delay = mode === 'slow' ? { delayMs: SLOW_MS } : {};
  const times = mode === '500-after' ? {} : { times: 1 };
  bank.addMode({ reference, method: 'GET' }, bankMode, { ...times, ...delay });
}

/** Starts its workflow, or the run of the agent that asks before it pays. */
export async function start(world: MatrixWorld, played: Played, taskQueue: string): Promise<void> {
  const { cell, tool, reference } = played;
  const amountMinor = cell.contract === 'read' && cell.mode === 'reject-before' ? 1 : 10_000;
  const input = { reference, amountMinor };
  if (cell.point === 14) {
    // An agent can be started from the moment on in which a worker offers it.
    const run = await eventually('a worker offers the agent', () =>
      world.startRun(taskQueue, 'asking', { tool, ...input }).catch(unlessUnknown),
    );
    played.runKey = run.runKey;
    return;
  }
  const runKey = `run_${ulid()}`;
  if (cell.contract === 'transactional' && cell.mode === 'timeout-after') {
    world.proxy.order({ place: 'settle', cut: 'answer-lost', names: runKey });
  }
  const local = world.hasLocalTools && mayBeLocal(played.course.variant);
  await world.startEffect({ tool, input, taskQueue, runKey, local });
  played.runKey = runKey;
}

function unlessUnknown(error: unknown): undefined {
  if (error instanceof AgentUnknownError) return undefined;
  throw error;
}

export function requestsOf(world: MatrixWorld, { cell, reference }: Played): RequestLine[] {
  const method = cell.contract === 'read' ? 'GET' : 'POST';
  return world.bank
    .requests({ method })
    .filter(({ path, body }) => path.includes(`=${reference}`) || body.includes(`"${reference}"`));
}

/** What the receiver has done, by its own log. */
export async function receiptsOf(
  world: MatrixWorld,
  { cell, reference }: Played,
): Promise<readonly Pick<ReceiptLine, 'receiptId'>[]> {
  if (cell.contract !== 'transactional') return world.bank.receipts({ reference });
  return world.rows('select id as "receiptId" from crash.receipts where reference = $1', [
    reference,
  ]);
}

/** Whether it stands where the blow is to fall, seen from both sides. */
export async function isInPlace(
  world: MatrixWorld,
  played: Played,
  blow: Blow,
  standing: readonly string[],
): Promise<boolean> {
  if (!standing.includes(played.tool)) return false;
  if (played.cell.contract === 'transactional' || blow.until === undefined) return true;
  // The refused look-up names no reference: nobody can tell whose it is.
  if (played.cell.contract === 'read' && played.cell.mode === 'reject-before') return true;
  if (blow.until === 'received') return requestsOf(world, played).length > 0;
  return (await receiptsOf(world, played)).length > 0;
}

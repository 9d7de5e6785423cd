// The ledger as a process sees it: over a network that takes time, breaks, and forgets who has died.
import { LedgerUnavailable } from '../../activities/ledger/database.ts';
import type {
  EffectLedger,
  EffectRecord,
  TransactionEnd,
} from '../../activities/ledger/effect-ledger.ts';
import type { LedgerTransaction } from '../../domain/schemas/tool-context.ts';
import { CrashPoint } from '../../activities/effects/crash-points.ts';
import type { Blow } from './cells.ts';
import type { SimProcess } from './process.ts';
import { wireMs } from './receiver.ts';
import type { World } from './world.ts';

interface Call<T> {
  readonly what: string;
  readonly perform: () => Promise<T>;
  /** The point at which its commit is on the wire; `isCommit`: of this answer it is one. */
  readonly point?: CrashPoint;
  readonly isCommit?: (answer: T) => boolean;
  readonly tell?: (answer: T) => string;
}

const down = (): LedgerUnavailable => new LedgerUnavailable(new Error('the line is dead'));

/** Stops answering for ever once its process is dead; what is on its way to the ledger then may still arrive. */
export function createRemoteLedger(world: World, process: SimProcess): EffectLedger {
  const { memory } = world;
  const call = <T>(wanted: Call<T>): Promise<T> => remoteCall(world, process, wanted);
  return {
    intend: (intents) =>
      call({
        what: 'intend',
        perform: () => memory.intend(intents),
        point: CrashPoint.IntentCommit,
      }),
    begin: (tenant, id, rootKey, intent) =>
      call({
        what: 'begin',
        perform: () => memory.begin(tenant, id, rootKey, intent),
        ...(intent ? { point: CrashPoint.IntentCommit } : {}),
        tell: (answer) => answer?.record.state.status ?? 'unknown',
      }),
    dispatch: (request) =>
      call({
        what: 'dispatch',
        perform: async () => countPermit(world, await memory.dispatch(request)),
        point: CrashPoint.DispatchCommit,
        isCommit: ({ kind }) => kind === 'granted',
        tell: (answer) =>
          answer.kind === 'granted' ? `granted, fence ${answer.record.fence}` : answer.kind,
      }),
    transact: (request, work) =>
      call({
        what: 'transact',
        perform: () =>
          memory.transact(request, (open, record) =>
            runRemotely(world, process, open, record, request.claim.leaseMs, work),
          ),
        tell: ({ kind }) => kind,
      }),
    append: (tenant, id, entries, seen) =>
      call({
        what: `append ${entries.map(({ fact }) => fact.kind).join(', ')}`,
        perform: () => memory.append(tenant, id, entries, seen),
        point: CrashPoint.SettleCommit,
        tell: ({ record }) => record.state.status,
      }),
    conclude: (seen, entries) =>
      call({
        what: `conclude ${entries.map(({ fact }) => fact.kind).join(', ')}`,
        perform: () => memory.conclude(seen, entries),
        point: CrashPoint.SettleCommit,
        isCommit: (answer) => answer !== undefined,
        tell: (answer) => answer?.record.state.status ?? 'it has changed',
      }),
    findOverdue: (limit) =>
      call({ what: 'find overdue', perform: () => memory.findOverdue(limit) }),
    findDoubtsToAsk: (tools, limit) =>
      call({ what: 'find doubts', perform: () => memory.findDoubtsToAsk(tools, limit) }),
    noteLook: (tenant, id) =>
      call({ what: 'note look', perform: () => memory.noteLook(tenant, id) }),
    findToWake: (limit) => call({ what: 'find to wake', perform: () => memory.findToWake(limit) }),
    noteWoken: (tenant, id) =>
      call({ what: 'note woken', perform: () => memory.noteWoken(tenant, id) }),
    request: (tenant, id) => call({ what: 'request', perform: () => memory.request(tenant, id) }),
  };
}

function countPermit<T extends { readonly kind: string }>({ count }: World, answer: T): T {
  if (answer.kind === 'granted') count.permits += 1;
  return answer;
}

function remoteCall<T>(world: World, process: SimProcess, wanted: Call<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (!process.isAlive()) return;
    const { time, random } = world;
    const reply = (run: () => void): void => time.after(wireMs(random), () => process.deliver(run));
    const fail = (): void => {
      world.note(process.name, `${wanted.what}: the ledger does not answer`);
      reply(() => reject(down()));
    };
    time.after(wireMs(random), () => {
      if (!process.isAlive() && world.chance(0.5)) return;
      const isDown = world.isLedgerDown() || world.chance(world.plan.blips);
      if (isDown && world.chance(0.7)) return fail();
      const blows = wanted.point ? world.blows.take(wanted.point) : [];
      if (blows.some(({ lands }) => !lands)) return strikeAll(world, process, blows, fail);
      wanted.perform().then(
        (answer) => {
          world.note(process.name, `${wanted.what}: ${wanted.tell?.(answer) ?? 'done'}`);
          if (wanted.isCommit && !wanted.isCommit(answer)) world.blows.giveBack(blows);
          else strikeAll(world, process, blows);
          // Done, and reported as if it were not: the ambiguous commit.
          if (isDown) fail();
          else reply(() => resolve(answer));
        },
        (error: unknown) => reply(() => reject(error as Error)),
      );
    });
  });
}

function strikeAll(
  world: World,
  process: SimProcess,
  blows: readonly Blow[],
  fail: () => void = () => undefined,
): void {
  for (const blow of blows) world.strike(blow, process);
  // Whoever lives on hears that his connection broke.
  fail();
}

type Work = Parameters<EffectLedger['transact']>[1];

/** The tool's part of a transaction: its statements travel, and the database gives up on a client that is gone or silent. */
function runRemotely(
  world: World,
  process: SimProcess,
  open: LedgerTransaction,
  record: EffectRecord,
  silenceMaxMs: number,
  work: Work,
): Promise<TransactionEnd> {
  const { time, random } = world;
  return new Promise((resolve, reject) => {
    let heardAtMs = time.nowMs();
    let isOver = false;
    const end = (run: () => void): void => {
      if (isOver) return;
      isOver = true;
      run();
    };
    const cut = (why: string): void =>
      end(() => {
        world.note(process.name, `rolled back: ${why}`);
        reject(new LedgerUnavailable(new Error(why)));
      });
    const watch = (): void => {
      if (time.nowMs() - heardAtMs >= silenceMaxMs) return cut('idle in transaction');
      // Never sooner than a millisecond: fractions would wait for ever.
      if (!isOver) time.after(1 + silenceMaxMs - (time.nowMs() - heardAtMs), watch);
    };
    const arrive = (run: () => void): void =>
      time.after(wireMs(random), () => {
        heardAtMs = time.nowMs();
        run();
      });
    process.onDeath(() => cut('the client is gone'));
    time.after(silenceMaxMs, watch);

    const remote: LedgerTransaction = {
      query: <Row>(text: string, values?: readonly unknown[]) =>
        new Promise<{ rows: Row[]; rowCount: number }>((answer, refuse) => {
          if (!process.isAlive()) return;
          const reply = (run: () => void): void =>
            time.after(wireMs(random), () => process.deliver(run));
          arrive(() => {
            if (world.isLedgerDown()) cut('the line is dead');
            if (isOver) return reply(() => refuse(down()));
            open.query<Row>(text, values).then(
              (rows) => reply(() => answer({ ...rows })),
              (error: unknown) => reply(() => refuse(error as Error)),
            );
          });
        }),
    };
    const commit = (ended: TransactionEnd): void =>
      arrive(() => {
        if (isOver) return;
        if (world.isLedgerDown()) return cut('the line is dead');
        const blows = world.blows.take(CrashPoint.SettleCommit);
        if (blows.some(({ lands }) => !lands)) cut('the commit was lost');
        else {
          world.note(process.name, `commit: ${ended.keepsRows ? 'with rows' : 'without rows'}`);
          end(() => resolve(ended));
        }
        for (const blow of blows) world.strike(blow, process);
      });
    time.after(wireMs(random), () =>
      process.deliver(() => {
        work(remote, record).then(commit, (error: unknown) =>
          arrive(() => end(() => reject(error as Error))),
        );
      }),
    );
  });
}

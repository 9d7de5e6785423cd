// The ledger is put back to an earlier point: runs that have seen more send nothing, and a human is told of each.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { WorkflowFailedError } from '@temporalio/client';
import { runCli } from '../../client/cli/program.ts';
import type { PawlClient, StuckRunView } from '../../client/index.ts';
import { hang, type ModelScript } from '../../devstack/receivers/index.ts';
import { guarantee } from '../guarantee.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import { copyLedger, type LedgerCopy } from './fixtures/ledger-copies.ts';
import { createPayerScript, placeOf } from './fixtures/payer-script.ts';
import { payment } from './fixtures/payments.ts';
import { lastPointBeforeActivity, resetTo } from './fixtures/resets.ts';
import { createWorld, eventually, type World, writesFor } from './fixtures/world.ts';

const TEST_MS = 360_000;
const PAYMENTS = 5;
const QUEUE = 'restored-ledger';

/** Where a run stands: it waits for the model's answer of a turn, or for the approval of its second payment. */
type Place = `model ${number}` | 'approval';

interface Plan {
  readonly label: string;
  /** When the copy of the ledger is made; absent: it has not begun. */
  readonly copied?: Place;
  /** When the copy is put in place. */
  readonly restored: Place | 'end';
}

/** Runs that have seen what the restored ledger does not hold; the careful payer asks before its second payment. */
const AFFECTED: readonly Plan[] = [
  { label: 'many-lost', copied: 'model 2', restored: 'model 5' },
  // Its second payment is not sent in the copy: a model that was told so would pay again.
  { label: 'one-lost', copied: 'approval', restored: 'model 3' },
  { label: 'approval-lost', copied: 'model 1', restored: 'approval' },
  // No outcome is lost, only an answer of the model and what it asks for.
  { label: 'answer-lost', copied: 'model 2', restored: 'approval' },
  { label: 'run-lost', restored: 'model 4' },
  { label: 'run-lost-early', restored: 'model 1' },
  { label: 'run-lost-asking', restored: 'approval' },
];
const UNAFFECTED: Plan = { label: 'nothing-lost', copied: 'model 3', restored: 'model 3' };
const ENDED: Plan = { label: 'end-lost', copied: 'model 3', restored: 'end' };

const held = new Map<string, number>();
const payerScript = createPayerScript();
const script: ModelScript = (request, at) => {
  const { label, turn } = placeOf(request);
  return held.get(label) === turn + 1 ? hang() : payerScript(request, at);
};
let world: World;
let pawl: PawlClient;
let copy: LedgerCopy | undefined;
const runKeys = new Map<string, string>();
const keyOf = (label: string): string => runKeys.get(label) ?? '';

beforeAll(async () => {
  world = await createWorld({ script });
  pawl = await world.connect(QUEUE);
}, 180_000);
afterAll(async () => {
  await pawl.close();
  await world.close();
  await copy?.drop();
});

/** Lets the model answer up to the place. */
function holdAt(label: string, place: Place | 'end' | undefined): void {
  const turn = place?.startsWith('model ') ? Number(place.slice('model '.length)) : 0;
  held.set(label, turn);
}

async function begin({ label }: Plan): Promise<void> {
  const agent = isCareful(label) ? 'careful-payer' : 'payer';
  const { runKey } = await pawl.start(agent, { label, payments: PAYMENTS });
  runKeys.set(label, runKey);
}

const isCareful = (label: string): boolean =>
  [...AFFECTED].some(
    (plan) => plan.label === label && [plan.copied, plan.restored].includes('approval'),
  );

/** Approves where it stands in the way, and resolves when the run is where it is wanted. */
async function reach(label: string, place: Place | 'end'): Promise<void> {
  await eventually(`${label} at ${place}`, async () => {
    const [approval] = await pawl.approvals({ run: keyOf(label) });
    if (place === 'approval') return approval !== undefined;
    if (approval) await pawl.approve(approval.id, { approver: 'olga' });
    if (place === 'end') return (await pawl.show(keyOf(label))).run.isFinished;
    const turn = Number(place.slice('model '.length));
    return world.provider.requests().some(({ neutral }) => {
      const at = neutral && placeOf(neutral);
      return at?.label === label && at.turn + 1 === turn;
    });
  });
}

const requestsNow = () => ({
  bank: world.bank.requests().filter(({ method }) => method === 'POST').length,
  model: world.provider.requests().length,
});

/** What reached the outside for one run since `before`. */
function requestsOf(label: string, before: ReturnType<typeof requestsNow>): string[] {
  const writes = world.bank.requests().filter(({ method }) => method === 'POST');
  const own = writes.slice(before.bank).filter(({ body }) => body.includes(`"${label}-`));
  const asked = world.provider
    .requests()
    .slice(before.model)
    .filter(({ neutral }) => neutral && placeOf(neutral).label === label);
  return [...own.map(({ body }) => body), ...asked.map(() => 'a model request')];
}

async function cli(...argv: string[]): Promise<string> {
  const io = createFakeIo({ env: { DATABASE_URL: world.databaseUrl, PAWL_TASK_QUEUE: QUEUE } });
  expect(await runCli(argv, io)).toBe(0);
  return io.stdout();
}

/** What the runbook says after any restore: each open workflow looks at the ledger again. */
async function wakeAll(): Promise<void> {
  for (const { label } of AFFECTED) {
    const handle = world.temporal.workflow.getHandle(keyOf(label));
    await handle.signal('pawl.resumed', { v: 1, by: 'the runbook' });
  }
}

const paid = (label: string): number[] =>
  Array.from({ length: PAYMENTS }, (_, at) => at + 1).map(
    (at) => world.bank.receipts({ reference: `${label}-${at}` }).length,
  );
const once = Array<number>(PAYMENTS).fill(1);

/** Runs and ledger as they are when the older ledger has just been put in place. */
async function loseTime(): Promise<void> {
  const all = [...AFFECTED, UNAFFECTED, ENDED];
  for (const { label, copied } of all) holdAt(label, copied);
  let worker = await world.startWorker({ taskQueue: QUEUE });
  const early = all.filter(({ copied }) => copied !== undefined);
  await Promise.all(early.map(begin));
  await Promise.all(early.map(({ label, copied }) => reach(label, copied ?? 'end')));
  await worker.kill();
  copy = await copyLedger(world.databaseUrl);

  for (const { label, restored } of all) holdAt(label, restored);
  worker = await world.startWorker({ taskQueue: QUEUE });
  await Promise.all(all.filter(({ copied }) => copied === undefined).map(begin));
  await Promise.all(all.map(({ label, restored }) => reach(label, restored)));
  await startPlain();
  await worker.kill();
  await copy.restore();
}

const PLAIN = 'run_plain';
const plain = () => world.temporal.workflow.getHandle(PLAIN);
const plainWrites = (): number =>
  [1, 2].reduce((sum, at) => sum + writesFor(world.bank, `plain-${at}`).length, 0);

/** A plain workflow: its first payment is applied, its second one, to a bank that offers nothing, in doubt. */
async function startPlain(): Promise<void> {
  world.bank.setMode('plain-2', 'commit-then-reset', { times: 1 });
  const steps = [
    { tool: 'pay_keyed', input: payment('plain-1') },
    { tool: 'pay_once', input: payment('plain-2') },
  ];
  await world.temporal.workflow.start('someEffects', {
    workflowId: PLAIN,
    taskQueue: QUEUE,
    args: [{ runKey: PLAIN, steps }],
  });
  // In the ledger first, and told to the workflow then: killed in between, it would look again by itself.
  await eventually('the plain workflow waits for a human', async () => {
    const isInDoubt = (await pawl.doubts()).some(({ runKey }) => runKey === PLAIN);
    const { raw } = await plain().describe();
    return isInDoubt && !raw.pendingActivities?.length;
  });
}

/** Looks at its effect once more, and says what it failed with. */
async function failPlain(): Promise<unknown> {
  // Without an effect, as by hand: whatever waits looks again.
  await plain().signal('pawl.settled', { v: 1 });
  let error: unknown = await plain()
    .result()
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  while (error instanceof Error && error.cause) error = error.cause;
  return error;
}

/** The newer ledger is back: the failed workflow is reset to before its failed activity, and a human settles its doubt. */
async function mendPlain(): Promise<unknown> {
  const { runId } = await plain().describe();
  const { events } = await plain().fetchHistory();
  const event = lastPointBeforeActivity(events ?? []);
  if (!event) throw new Error('the plain workflow has no reset point');
  await resetTo(world.temporal, { workflowId: PLAIN, runId, event });
  const [doubt] = (await pawl.doubts()).filter(({ runKey }) => runKey === PLAIN);
  const output = { transferId: 'by hand', reference: 'plain-2' };
  const evidence = 'the bank shows it';
  await pawl.settle(doubt?.effect ?? '', { outcome: 'applied', output, evidence });
  return plain().result();
}

describe('the ledger is restored to an earlier point', () => {
  guarantee(
    ['law-12-rolled-back', 'stuck-visible'],
    'agents in every place, a plain workflow → 0 sends, 0 model requests; each agent is stuck with Ledger.RolledBack and in the inbox; with the newer ledger back, all end with each payment once',
    async () => {
      await loseTime();
      for (const label of held.keys()) holdAt(label, 'end');
      const before = requestsNow();

      // Nothing has looked at the ledger yet: only Temporal knows of the runs that it has lost.
      const { checks } = await pawl.doctor();
      const histories = checks.find(({ name }) => name === 'histories');
      expect(histories).toMatchObject({ status: 'fail', advice: /After a restore/ });

      let worker = await world.startWorker({ taskQueue: QUEUE });
      await wakeAll();
      const stuck = await eventually('all are stuck', async () => {
        const found = await pawl.stuckRuns();
        return found.length >= AFFECTED.length ? found : undefined;
      });
      expectEachStuck(stuck);
      await expectInInbox(stuck);

      // A human who resumes too early changes nothing.
      for (const { label } of AFFECTED) await pawl.resume(keyOf(label));
      await eventually('they have looked again', async () => {
        const again = await pawl.stuckRuns();
        const since = Math.max(...stuck.map(({ stuckAt }) => stuckAt?.getTime() ?? 0));
        const isNewer = ({ stuckAt }: StuckRunView): boolean => (stuckAt?.getTime() ?? 0) > since;
        return again.length === AFFECTED.length && again.every(isNewer);
      });
      for (const { label } of AFFECTED)
        expect([label, requestsOf(label, before)]).toEqual([label, []]);

      expect(await failPlain()).toMatchObject({ type: 'Ledger.RolledBack', nonRetryable: true });
      expect(plainWrites()).toBe(2);

      // What has seen nothing more goes on as if nothing had been.
      expect(await pawl.result(keyOf(UNAFFECTED.label))).toMatchObject({
        result: { kind: 'completed' },
      });
      expect(paid(UNAFFECTED.label)).toEqual(once);

      await worker.kill();
      await copy?.putBack();
      worker = await world.startWorker({ taskQueue: QUEUE });
      await wakeAll();
      await Promise.all(AFFECTED.map(({ label }) => reach(label, 'end')));
      for (const { label } of AFFECTED) expect([label, paid(label)]).toEqual([label, once]);
      expect(await mendPlain()).toMatchObject([
        { reference: 'plain-1' },
        { transferId: 'by hand' },
      ]);
      expect(plainWrites()).toBe(2);
    },
    TEST_MS,
  );
});

function expectEachStuck(stuck: readonly StuckRunView[]): void {
  const types = stuck.map(({ runKey, type }) => [runKey, type]).sort();
  const wanted = AFFECTED.map(({ label }) => [keyOf(label), 'Ledger.RolledBack']).sort();
  expect(types).toEqual(wanted);
}

async function expectInInbox(stuck: readonly StuckRunView[]): Promise<void> {
  const text = await cli('doubts');
  const listed = JSON.parse(await cli('doubts', '--json')) as { kind: string; runKey: string }[];
  for (const { runKey } of stuck) {
    expect(text).toContain(`stuck    ${runKey}`);
    expect(listed).toContainEqual(
      expect.objectContaining({ kind: 'run', runKey, type: 'Ledger.RolledBack' }),
    );
    expect(await cli('show', runKey)).toContain('Ledger.RolledBack');
  }
}

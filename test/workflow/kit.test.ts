// The kit itself: deaths that it makes, limits that it keeps, and that it leaves nothing behind.
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  CrashPoint,
  crashAt,
  type Receivers,
  scriptedModel,
  type TestRun,
  until,
  withTestRun,
} from 'pawl/testing';
import proto from '@temporalio/proto';
import pg from 'pg';
import { endOfFirst } from '../first-attempt.ts';
import { calls, clerk, DONE, notifyTool, pay, shownResults, TASK, untilLive } from './clerk.ts';

const { TIMEOUT_TYPE_HEARTBEAT } = proto.temporal.api.enums.v1.TimeoutType;
const root = join(import.meta.dirname, '../..');

const isListening = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

// A missed heartbeat takes five to ten seconds to be noticed, so the deaths happen side by side.
describe('crashAt', () => {
  it('a keyed effect and a model call die behind the send → done again by another attempt, one receipt, one answer', async () => {
    await Promise.all([keyedEffectDies(), modelCallDies()]);
  });

  it('a once effect dies inside of the tool → nothing behind it is recorded: in doubt, one send at most', async () => {
    const { BeforeSend, MidRequest, AfterSend } = CrashPoint;
    const sends = await Promise.all([BeforeSend, MidRequest, AfterSend].map(onceEffectDies));
    expect(sends).toEqual([0, 1, 1]);
  });
});

async function keyedEffectDies(): Promise<void> {
  const crash = crashAt(CrashPoint.BeforeSettle, 'pay');
  const model = [calls(pay('a')), DONE];
  await withTestRun({ agents: (r) => [clerk(r)], model, crash }, async (t) => {
    const { runKey, result } = await t.start('clerk', TASK);
    expect((await result()).result?.kind).toBe('completed');
    const [first, second, ...more] = t.bank.requests({ method: 'POST' });
    expect(more).toEqual([]);
    expect(second?.idempotencyKey).toBe(first?.idempotencyKey);
    expect(second?.bodySha256).toBe(first?.bodySha256);
    expect(endOfFirst(await t.history(runKey), 'tool.pay')).toEqual({
      attempt: 2,
      noticedBy: TIMEOUT_TYPE_HEARTBEAT,
    });
    expect(t.bank.receipts()).toHaveLength(1);
  });
}

async function modelCallDies(): Promise<void> {
  const crash = crashAt(CrashPoint.AfterModelCall);
  const model = scriptedModel([calls(pay('a')), calls(pay('a')), DONE]);
  await withTestRun({ agents: (r) => [clerk(r)], model, crash }, async (t) => {
    const { runKey, result } = await t.start('clerk', TASK);
    expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
    expect((await t.client.show(runKey)).turns.map(({ attempt }) => attempt)).toEqual([2, 1]);
    expect(t.bank.receipts()).toHaveLength(1);
    model.assertComplete();
  });
}

/** How often the mailbox was asked. */
async function onceEffectDies(point: CrashPoint): Promise<number> {
  const crash = crashAt(point, 'notify');
  const model = [calls(['notify', { subject: 'x' }]), DONE];
  // Little longer than its death takes to be noticed: the doubt waits for it.
  const agents = (r: Receivers) => [clerk(r, { tools: [notifyTool(r, { timeout: '4s' })] })];
  return withTestRun({ agents, model, crash }, async (t) => {
    const { runKey } = await t.start('clerk', TASK);
    await t.untilStatus(runKey, 'in_doubt');
    const [doubt] = await t.client.doubts();
    const { facts } = await t.client.why(doubt?.effect ?? '');
    expect(facts.map(({ kind }) => kind)).toEqual(['intended', 'dispatched', 'doubted']);
    return t.mailbox.requests().length;
  });
}

describe('withTestRun', () => {
  it('the body throws in the middle of a run → its error, and receivers, worker and database are gone', async () => {
    const model = [{ ...DONE, delayMs: 20_000 }];
    let seen: TestRun | undefined;
    const failing = withTestRun({ agents: (r) => [clerk(r)], model }, async (t) => {
      seen = t;
      const { runKey } = await t.start('clerk', TASK);
      await until(() => t.model.requests().length === 1);
      throw new Error(`the body gives up on ${runKey}`);
    });
    await expect(failing).rejects.toThrow(/^the body gives up on run_/);
    if (!seen) throw new Error('the body did not run');
    const { bank, mailbox, model: provider, databaseUrl, client } = seen;
    for (const { url } of [bank, mailbox, provider]) expect(await isListening(url)).toBe(false);
    const connection = new pg.Client({ connectionString: databaseUrl });
    await expect(connection.connect()).rejects.toMatchObject({ code: '3D000' });
    await expect(client.list()).rejects.toMatchObject({ code: 'Database.Unreachable' });
  });

  it('one request more than the script has → the provider says so, and so does assertComplete', async () => {
    const model = scriptedModel([calls(pay('a'))]);
    await withTestRun({ agents: (r) => [clerk(r)], model }, async (t) => {
      await t.start('clerk', TASK);
      await until(() => t.model.requests().length >= 2);
      await until(() => t.model.requests()[1]?.status === 500);
      expect(() => model.assertComplete()).toThrow(
        'The script has 1 replies and this is one request more. It ends with: {"kind":"toolResult"',
      );
    });
  });

  it('privateNetworks refuse → the tool may not reach the bank, provably not sent', async () => {
    const model = [calls(pay('a')), DONE];
    const options = { privateNetworks: 'refuse', worker: { random: () => 0 } } as const;
    await withTestRun({ ...options, agents: (r) => [clerk(r)], model }, async (t) => {
      const { result } = await t.start('clerk', TASK);
      expect((await result()).result?.kind).toBe('completed');
      expect(t.bank.requests()).toEqual([]);
      expect(shownResults(t)[0]?.text).toContain('The address could not be reached.');
    });
  });

  it('a status that does not come, a result that does not come → an error that says where the run stands', async () => {
    const model = [calls(pay('a', 20_000))];
    await withTestRun({ agents: (r) => [clerk(r)], model }, async (t) => {
      const { runKey } = await t.start('clerk', TASK);
      await t.nextApproval(runKey);
      // Before that its model call is still under way, and the text would say so.
      await untilLive(t, runKey, 'await-approval');
      await expect(t.untilStatus(runKey, 'stuck', 100)).rejects.toThrow(
        `${runKey} is waiting_approval in turn 1, not stuck`,
      );
      await expect(t.result(runKey, 100)).rejects.toThrow(
        `${runKey} has not ended within 100 ms: waiting_approval in turn 1`,
      );
    });
  });

  it('a process without any server in its environment → starts its own, and ends by itself with them', async () => {
    const env = Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) => !/^(PAWL_TEST_|TEMPORAL_|DATABASE_)/.test(name),
      ),
    );
    const args = ['--import', 'tsx', '--conditions=pawl-source', '--no-warnings'];
    const child = join(import.meta.dirname, 'fixtures/kit-child.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [...args, child], {
      cwd: root,
      env,
    });
    const said = JSON.parse(stdout) as {
      output: string;
      temporalAddress: string;
      databaseUrl: string;
    };
    expect(said.output).toBe('hello');
    expect(await isListening(`http://${said.temporalAddress}`)).toBe(false);
    expect(await isListening(said.databaseUrl)).toBe(false);
  });
});

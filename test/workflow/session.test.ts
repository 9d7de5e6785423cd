// Sessions: what their user says is answered once and in order, across worker, continue-as-new, pause and end.
import { describe, expect, it } from '@jest/globals';
import { type ModelScript, type TestRun, toolResults, withTestRun } from 'pawl/testing';
import type { NeutralRequest } from '../../devstack/receivers/index.ts';
import { runCli } from '../../client/cli/program.ts';
import { guarantee } from '../guarantee.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import { CACHES, calls, clerk, pay, TASK } from './clerk.ts';

/** What the user has said, as the model is shown it. */
function saidIn({ messages }: NeutralRequest): string[] {
  return messages
    .filter(({ role }) => role === 'user')
    .flatMap(({ parts }) => parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])));
}

/** Answers each request with the last words that it was shown. */
const echo: ModelScript = (request) => ({ text: `re: ${saidIn(request).at(-1) ?? ''}` });

/** Says one thing and waits for the answer. */
async function ask(t: TestRun, runKey: string, text: string): Promise<string> {
  const { messageId } = await t.client.say(runKey, text);
  return (await t.client.reply(runKey, { messageId })).text;
}

describe.each(CACHES)('a session, %s', (_title, maxCachedWorkflows) => {
  const options = () => ({
    agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)],
    maxCachedWorkflows,
  });

  guarantee(
    'session-in-order',
    'words one after the other → each answered once, in order, waiting for the user in between; ended → completed',
    async () => {
      await withTestRun({ ...options(), model: echo }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK, { session: true });
        expect((await t.client.reply(runKey)).turn).toBe(1);
        await t.untilStatus(runKey, 'waiting_user');
        expect(await ask(t, runKey, 'one')).toBe('re: one');
        expect(await ask(t, runKey, 'two')).toBe('re: two');
        await t.restartWorker();
        expect(await ask(t, runKey, 'three')).toBe('re: three');
        await t.client.endSession(runKey);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 4 });
        expect(t.model.requests()).toHaveLength(4);
        const last = t.model.requests().at(-1)?.neutral;
        expect(last && saidIn(last)).toEqual([JSON.stringify(TASK), 'one', 'two', 'three']);
      });
    },
  );

  guarantee(
    'session-in-order',
    'much said at once, and the end with it, while no worker runs → all of it is answered before the session ends',
    async () => {
      await withTestRun({ ...options(), model: echo }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK, { session: true });
        await t.untilStatus(runKey, 'waiting_user');
        await t.stopWorker();
        const words = Array.from({ length: 250 }, (_, at) => `word ${at}`);
        for (const word of words) await t.client.say(runKey, word);
        await t.client.endSession(runKey);
        await expect(t.client.say(runKey, 'too late')).rejects.toMatchObject({
          code: 'Run.Finished',
        });
        await t.startWorker();
        expect((await result()).result?.kind).toBe('completed');
        const last = t.model.requests().at(-1)?.neutral;
        expect(last && saidIn(last)).toEqual([JSON.stringify(TASK), ...words]);
        const { messages } = await t.client.show(runKey);
        expect(messages.every(({ consumedTurn }) => consumedTurn !== null)).toBe(true);
      });
    },
  );

  it('effects, a pause and a resume between two answers → the effect once, nothing while paused', async () => {
    const model: ModelScript = (request) =>
      saidIn(request).at(-1) === 'pay' && toolResults(request).length === 0
        ? calls(pay('r-1'))
        : { text: 'done' };
    await withTestRun({ ...options(), model }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK, { session: true });
      await t.client.reply(runKey);
      await t.client.pause(runKey);
      const { messageId } = await t.client.say(runKey, 'pay');
      await t.untilStatus(runKey, 'paused');
      expect(t.bank.requests()).toHaveLength(0);
      await t.client.resume(runKey);
      expect((await t.client.reply(runKey, { messageId })).text).toBe('done');
      expect(t.bank.receipts()).toHaveLength(1);
      await t.client.endSession(runKey);
      expect((await result()).result?.kind).toBe('completed');
    });
  });
});

describe('the limits of a session', () => {
  it('a budget of two turns → counts from each of the words; more turns for one of them end it', async () => {
    const model: ModelScript = (request) =>
      saidIn(request).at(-1) === 'loop'
        ? calls(['look_up', { reference: `r-${toolResults(request).length}` }])
        : { text: 'fine' };
    const agents = (r: Parameters<typeof clerk>[0]) => [clerk(r, { budget: { turns: 2 } })];
    await withTestRun({ agents, model }, async (t) => {
      const { runKey } = await t.start('clerk', TASK, { session: true });
      await t.client.reply(runKey);
      for (const word of ['a', 'b', 'c', 'd']) expect(await ask(t, runKey, word)).toBe('fine');
      const { messageId } = await t.client.say(runKey, 'loop');
      const reply = await t.client.reply(runKey, { messageId });
      expect(reply).toMatchObject({ turn: null, result: { kind: 'out_of_turns' } });
    });
  });

  it('cancelled while it waits for its user → cancelled; words to a run that is no session → a clear error', async () => {
    await withTestRun({ agents: (r) => [clerk(r)], model: echo }, async (t) => {
      const session = await t.start('clerk', TASK, { session: true });
      await t.untilStatus(session.runKey, 'waiting_user');
      await t.client.cancel(session.runKey);
      expect((await session.result()).result?.kind).toBe('cancelled');
      const run = await t.start('clerk', TASK);
      await run.result();
      await expect(t.client.say(run.runKey, 'hello')).rejects.toMatchObject({
        code: 'Run.Finished',
      });
      const open = await t.start('clerk', TASK);
      await t.client.pause(open.runKey);
      await expect(t.client.say(open.runKey, 'hello')).rejects.toMatchObject({
        code: 'Run.NotASession',
      });
    });
  });
});

/** `pawl session …` as its user runs it, with what is typed or piped into it. */
async function cli(t: TestRun, args: readonly string[], lines: readonly string[] = []) {
  const servers = ['--database-url', t.databaseUrl, '--temporal-address', t.temporalAddress];
  const io = createFakeIo({
    async *readLines() {
      await Promise.resolve();
      yield* lines;
    },
  });
  const argv = ['session', ...args, ...servers, '--task-queue', t.taskQueue];
  return { code: await runCli(argv, io), out: io.stdout(), err: io.stderr() };
}

describe('pawl session', () => {
  guarantee(
    'session-in-order',
    'lines from a pipe, one more by --say, then --end → each answer on stdout in order, the session completed',
    async () => {
      await withTestRun({ agents: (r) => [clerk(r)], model: echo }, async (t) => {
        const input = ['--input', JSON.stringify(TASK), '--key', 'T-7'];
        const first = await cli(t, ['clerk', ...input], ['one', '', 'two']);
        expect(first).toMatchObject({
          code: 0,
          out: `re: ${JSON.stringify(TASK)}\nre: one\nre: two\n`,
        });
        const runKey = /run_[0-9A-Z]{26}/.exec(first.err)?.[0] ?? '';
        expect(first.err).toContain(`pawl session ${runKey}`);
        const said = await cli(t, ['latest', '--say', 'three', '--json']);
        expect(JSON.parse(said.out)).toMatchObject({ runKey, turn: 4, text: 're: three' });
        // The same key comes back to the same session: its first words are not said again.
        const again = await cli(t, ['clerk', ...input], ['four']);
        expect(again).toMatchObject({ code: 0, out: 're: four\n' });
        const ended = await cli(t, [runKey, '--end']);
        expect(ended).toMatchObject({ code: 0, err: 'The session has ended: completed\n' });
        expect((await cli(t, [runKey, '--say', 'hello'])).err).toContain('has already ended');
        expect(t.model.requests()).toHaveLength(5);
      });
    },
  );
});

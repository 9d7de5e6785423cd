// The supervisor over real processes that only speak its words: what it does at deaths, freezes, loops and its own end.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../../testing/until.ts';
import { pauseAfter } from '../../workers/supervisor/crash-loop.ts';
import type { ReadyWorker } from '../../workers/supervisor/messages.ts';
import { type Notice, toText } from '../../workers/supervisor/notices.ts';
import { superviseWorkers, WorkerNeverReady } from '../../workers/supervisor/supervise.ts';

const READY = `
  const worker = { identity: String(process.pid), taskQueue: 'q', namespace: 'n', temporalAddress: 't' };
  process.send({ kind: 'ready', worker });
  process.on('disconnect', () => process.exit(0));
`;
const MODULES = {
  steady: `${READY}
    process.on('message', ({ kind }) => {
      if (kind === 'leave') process.exit(0);
      process.send({ kind: 'polling' });
    });
    process.on('SIGTERM', () => process.exit(0));`,
  stubborn: `${READY}
    process.on('message', ({ kind }) => kind === 'run' && process.send({ kind: 'polling' }));
    process.on('SIGTERM', () => undefined);`,
  poisoned: `${READY}
    process.on('message', ({ kind }) => {
      if (kind === 'leave') process.exit(0);
      process.send({ kind: 'polling' }, () => process.exit(3));
    });`,
  broken: `process.exit(7);`,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pawl-supervise-'));
  for (const [name, text] of Object.entries(MODULES)) {
    writeFileSync(join(folder, `${name}.mjs`), text);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function supervise(name: keyof typeof MODULES, { workers = 1, spares = 1 } = {}) {
  const notices: Notice[] = [];
  const settled: string[] = [];
  const supervision = await superviseWorkers({
    file: join(folder, `${name}.mjs`),
    workers,
    spares,
    // Jest's own options are not for the workers.
    env: { ...process.env, NODE_OPTIONS: '' },
    settler: {
      prepare: () => undefined,
      settle: ({ identity }: ReadyWorker) => void settled.push(identity),
      isBusy: () => false,
      close: () => Promise.resolve(),
    },
    notify: (notice) => void notices.push(notice),
  });
  // A rejection that a test awaits later is not unhandled.
  supervision.ended.catch(() => undefined);
  const all = <Event extends Notice['event']>(event: Event) =>
    notices.filter((notice): notice is Extract<Notice, { event: Event }> => notice.event === event);
  const first = <Event extends Notice['event']>(event: Event, at = 0) =>
    until(() => all(event)[at], { what: `${event} ${at + 1} in ${JSON.stringify(notices)}` });
  return { ...supervision, settled, all, first };
}

describe('a worker that dies', () => {
  it('SIGKILL with a warm spare → the spare runs, the dead one is settled, another spare comes', async () => {
    const crew = await supervise('steady');
    const { pid } = await crew.first('polling');
    const spare = await crew.first('spare');
    process.kill(pid, 'SIGKILL');
    expect(await crew.first('died')).toMatchObject({ pid, how: 'SIGKILL', hadRun: true });
    expect(await crew.first('polling', 1)).toMatchObject({ pid: spare.pid });
    expect(crew.settled).toEqual([String(pid)]);
    expect((await crew.first('spare', 1)).pid).not.toBe(spare.pid);
    crew.stop();
    await crew.ended;
    expect(crew.all('stopped')).toHaveLength(1);
  });

  it('the spare itself is killed → nothing is settled, the worker goes on, another spare comes', async () => {
    const crew = await supervise('steady');
    const spare = await crew.first('spare');
    process.kill(spare.pid, 'SIGKILL');
    expect(await crew.first('died')).toMatchObject({ pid: spare.pid, hadRun: false });
    await crew.first('spare', 1);
    expect(crew.settled).toEqual([]);
    expect(crew.all('polling')).toHaveLength(1);
    crew.stop();
    await crew.ended;
  });

  it('one of two without a spare → a new one is started', async () => {
    const crew = await supervise('steady', { workers: 2, spares: 0 });
    const { pid } = await crew.first('polling', 1);
    process.kill(pid, 'SIGKILL');
    expect((await crew.first('polling', 2)).pid).not.toBe(pid);
    crew.stop();
    await crew.ended;
  });
});

describe('a worker that is not dead', () => {
  it('frozen with SIGSTOP → it is not replaced and nothing of it is settled; thawed, it ends in order', async () => {
    const crew = await supervise('steady');
    const { pid } = await crew.first('polling');
    await crew.first('spare');
    process.kill(pid, 'SIGSTOP');
    // Longer than a supervisor that looked at its workers would wait.
    await sleep(1_000);
    expect(crew.all('died')).toEqual([]);
    expect(crew.all('polling')).toHaveLength(1);
    expect(crew.settled).toEqual([]);
    process.kill(pid, 'SIGCONT');
    crew.stop();
    await crew.ended;
  });

  it('it does not stop when asked → a second wish ends it at once', async () => {
    const crew = await supervise('stubborn', { spares: 0 });
    await crew.first('polling');
    crew.stop();
    crew.stop();
    await crew.ended;
    expect(crew.all('died')).toEqual([]);
  });
});

describe('workers that die of what they do', () => {
  it('three in a row right after their start → a pause, and nothing is handed to the next one before its time', async () => {
    const crew = await supervise('poisoned');
    expect(await crew.first('crash-loop')).toMatchObject({ deaths: 3, pauseMs: 1_000 });
    // Each pause keeps back what one death has left; on a slow machine more of them die before the first.
    const deaths = crew.all('died').filter(({ hadRun }) => hadRun);
    expect(deaths.length).toBeGreaterThanOrEqual(3);
    expect(crew.settled).toHaveLength(deaths.length - crew.all('crash-loop').length);
    expect(toText(crew.all('crash-loop')[0] as Notice)).toContain('what they do kills them');
    crew.stop();
    await crew.ended;
  });

  it('pauses → double up to half a minute', () => {
    expect([1, 2, 3, 4, 5, 8, 20].map(pauseAfter)).toEqual([
      0, 0, 1_000, 2_000, 4_000, 30_000, 30_000,
    ]);
  });

  it('the first one ends before it is ready → the supervisor ends too, and says what the module must do', async () => {
    const crew = await supervise('broken');
    const error: unknown = await crew.ended.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(WorkerNeverReady);
    expect(String(error)).toMatch(
      /broken\.mjs ended before its worker was ready \(exit 7\).*createWorker/,
    );
  });
});

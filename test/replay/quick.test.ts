// The processes that replay leave out much of Temporal's worker: what they find must be what it finds by itself.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  decodeHistory,
  type HistoryFile,
  readHistoryFile,
} from '../../client/replay/history-file.ts';
import { coresOf } from '../../client/replay/pin.ts';
import { isKnownSdk } from '../../client/replay/quick-worker.ts';
import { countEncodedEvents } from '../../client/replay/raw-history.ts';
import { bundleForReplay, replayAll } from '../../client/replay/replay-all.ts';
import type { Bundle, Replayed } from '../../client/replay/replayer.ts';
import { guarantee } from '../guarantee.ts';

const folder = join(import.meta.dirname, 'histories');

let files: readonly HistoryFile[] = [];
beforeAll(async () => {
  const names = (await readdir(folder)).sort();
  files = await Promise.all(names.map((name) => readHistoryFile(folder, name)));
});

/** Of every recorded history, twice: the second one has a sandbox that was used before. */
async function replay(bundle: Bundle, processes: number): Promise<readonly Replayed[]> {
  const twice = [...files, ...files.map((file) => ({ ...file, name: `${file.name}-again` }))];
  const sources = twice.map((file) => () => Promise.resolve(file));
  return (await replayAll(sources, { bundle, processes })).map(withoutStack);
}

/** Under Jest a stack trace names other lines. */
function withoutStack({ error, ...replayed }: Replayed): Replayed {
  if (!error) return replayed;
  const message = error.message.replace(/stack_trace: ".*?[^\\]"/, 'stack_trace: …');
  return { ...replayed, error: { ...error, message } };
}

/** The same history under two names ends in the same way. */
const withoutNames = (replayed: readonly Replayed[]): readonly unknown[] =>
  replayed.map(({ events, error }) => ({ events, error }));

describe('a process that only replays', () => {
  it('the installed SDK → the one whose insides are known; of another one this test decides', () => {
    expect(isKnownSdk()).toBe(true);
  });

  guarantee(
    'replay-stable',
    'workflows that end early, throw or give what is no command → refused in the same words as by Temporal’s own worker',
    async () => {
      const bundle = await bundleForReplay(join(import.meta.dirname, 'broken-workflows.ts'));
      const [alone, aside] = [await replay(bundle, 1), await replay(bundle, 2)];
      expect(aside).toEqual(alone);
      const half = files.length;
      expect(withoutNames(aside.slice(half))).toEqual(withoutNames(aside.slice(0, half)));
      const errorOf = (name: string): Replayed['error'] =>
        aside.find((replayed) => replayed.name === name)?.error;
      expect(errorOf('payments.bin')?.name).toBe('DeterminismViolationError');
      expect(errorOf('effect-payment.bin')?.name).toBe('ReplayError');
      expect(errorOf('effect-payment.bin')?.message).toContain('undefined is not a payment');
      expect(errorOf('effect-doubt-settled.bin')?.message).toContain('Unable to convert');
      expect(aside.filter(({ error }) => !error)).toEqual([]);
    },
  );

  it('bytes that only look like a history → Malformed, from another process, too', async () => {
    const bundle = await bundleForReplay(join(import.meta.dirname, '../../workflows/index.ts'));
    const bytes = Uint8Array.of(0x0a, 2, 0x08, 0xff);
    const torn = { name: 'torn', source: 'torn.bin', format: 'protobuf', bytes } as const;
    for (const processes of [1, 2]) {
      await expect(
        replayAll([() => Promise.resolve(torn)], { bundle, processes }),
      ).rejects.toMatchObject({ code: 'History.Malformed' });
    }
  });
});

describe('countEncodedEvents', () => {
  it('every recorded history → as many as are decoded; torn or empty → none', async () => {
    for (const file of files) {
      const { history } = await decodeHistory(file);
      const { length } = (history as { events: unknown[] }).events;
      expect(countEncodedEvents(file.bytes)).toBe(length);
      expect(countEncodedEvents(file.bytes.subarray(0, -1))).toBe(0);
    }
    expect(countEncodedEvents(new Uint8Array())).toBe(0);
    expect(countEncodedEvents(await readFile(import.meta.filename))).toBe(0);
  });
});

describe('coresOf', () => {
  it.each([
    ['Cpus_allowed_list:\t0-1\n', [0, 1]],
    ['Name:\tnode\nCpus_allowed_list:\t0-2,5,8-9\nMems_allowed_list:\t0\n', [0, 1, 2, 5, 8, 9]],
    ['Cpus_allowed_list:\t3\n', [3]],
    ['', []],
  ])('%j → %j', (status, cores) => {
    expect(coresOf(status)).toEqual(cores);
  });
});

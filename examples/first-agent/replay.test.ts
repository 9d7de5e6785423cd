// The first agent's history, recorded and replayed: what a deploy would break fails here.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { replayHistories, saveHistory, withTestRun } from 'pawl/testing';
import { support } from './agent.ts';

describe('the history of the first agent', () => {
  it('recorded and replayed on the code of today → no activity runs, nothing differs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'histories-'));
    const model = [{ text: '{"resolved":false}' }];
    // region replay
    await withTestRun({ agents: [support], model }, async (t) => {
      const run = await t.start(support, { ticket: 'Thank you!' });
      await run.result();
      await saveHistory(t.temporal, run.runKey, join(folder, 'no-refund.bin'));
    });
    expect(await replayHistories(folder)).toEqual(['no-refund.bin']);
    // endregion
    await rm(folder, { recursive: true });
  });
});

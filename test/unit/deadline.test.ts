// What a time limit keeps: a call that is over leaves nothing behind until the time would have been up.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Context } from '@temporalio/activity';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { systemClock, withDeadline } from '../../activities/clock.ts';
import { attemptSend, type SendJob } from '../../activities/effects/attempt-send.ts';
import { attemptTransaction } from '../../activities/effects/attempt-transaction.ts';
import { noCrash } from '../../activities/effects/crash-points.ts';
import { probeOnce } from '../../activities/effects/probe.ts';
import { callRead } from '../../activities/runs/call-read.ts';
import { type AnyTool, defineTool } from '../../domain/schemas/define-tool.ts';
import { createBench, newClaim } from '../../testing/effect-ledger-fixture.ts';
import { createMemoryEffectLedger } from '../../testing/memory-effect-ledger.ts';
import { until } from '../../testing/until.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Resolves when it is garbage. */
function letGo(held: WeakRef<object> | undefined): Promise<true> {
  return until(
    async () => {
      // What was read of a WeakRef is kept until this turn of the event loop is over.
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
      return held?.deref() === undefined;
    },
    { what: 'what the call has given to be garbage' },
  );
}

/** Gives an object that hangs on the signal, as a request does; its time is up in an hour. */
function createTool(): { tool: AnyTool; given: WeakRef<object>[] } {
  const given: WeakRef<object>[] = [];
  const give = (signal: AbortSignal): { text: string } => {
    const output = { text: 'a large result' };
    signal.addEventListener('abort', () => void output.text);
    given.push(new WeakRef(output));
    return output;
  };
  const tool = defineTool({
    name: 'pay',
    description: 'Pays.',
    input: z.object({ cents: z.number() }),
    output: z.object({ text: z.string() }),
    timeout: '1h',
    wire: 'own',
    effect: {
      probe: (_, { signal }) => Promise.resolve({ kind: 'found', output: give(signal) }),
    },
    run: (_, { signal }) => Promise.resolve(give(signal)),
  });
  return { tool, given };
}

const ledger = createMemoryEffectLedger();
const bench = createBench({ ledger, ...ledger });
const deps = { ledger, wire: fetch, crash: noCrash, clock: systemClock };

async function newJob(tool: AnyTool, contract: 'once' | 'transactional'): Promise<SendJob> {
  const intent = await bench.intended({ contract });
  return {
    tool,
    record: await bench.read(intent),
    claim: newClaim({ leaseMs: 3_600_000 }),
    ignoresIdentity: false,
    isGivenUp: () => false,
  };
}

const CALLS: Readonly<Record<string, (tool: AnyTool) => Promise<unknown>>> = {
  'a read': (tool) => {
    const place = { tenant: 'acme', runKey: 'run_1', id: 'effect_1' };
    const context = { cancellationSignal: new AbortController().signal };
    return callRead({ wire: fetch }, tool, place, { cents: 1 }, context as unknown as Context);
  },
  'a send': async (tool) => attemptSend(deps, await newJob(tool, 'once')),
  'a transaction': async (tool) => attemptTransaction(deps, await newJob(tool, 'transactional')),
  'a probe': async (tool) => {
    const { record } = await newJob(tool, 'once');
    await probeOnce(deps, tool, record, 0);
    return bench.read(record);
  },
};

describe('a call that is over', () => {
  it.each(Object.keys(CALLS))('%s → nothing of it is kept until its time is up', async (name) => {
    const { tool, given } = createTool();
    const answer = await CALLS[name]?.(tool);
    expect(JSON.stringify(answer)).toContain('a large result');
    expect(given).toHaveLength(1);
    await letGo(given[0]);
  });
});

describe('withDeadline', () => {
  it('the time is up → its signal aborts with a TimeoutError', async () => {
    const ending = withDeadline(
      systemClock,
      5,
      (signal) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        ),
    );
    await expect(ending).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

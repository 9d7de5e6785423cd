// Retries of the effect engine: who ends them, and that no two of them are in step.
import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import { createEngineBench, mailTool } from './support-engine.ts';
import { newCase, useEngine } from './support-engine-suite.ts';

const at = useEngine();

describe('retries', () => {
  guarantee(
    'law-07-one-retry-layer',
    'a bank that never answers definitely → exactly the tool’s sends, whatever Temporal dispatches',
    async () => {
      const tool = at.keyed(undefined, { retry: { maximumAttempts: 3 } });
      const { reference, intent } = newCase(tool);
      at.bank.addMode({ reference }, '500-before');
      expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'in_doubt' });
      expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'in_doubt' });
      expect(at.writesOf(reference)).toHaveLength(3);
    },
  );

  guarantee(
    'law-08-jitter',
    'forty attempts that fail at once → delays of their own, none in step',
    async () => {
      const tool = at.keyed(undefined, { retry: { maximumAttempts: 9 } });
      const engine = createEngineBench({ ...at.under, random: Math.random });
      const delays = await Promise.all(
        Array.from({ length: 40 }, async () => {
          const { reference, intent } = newCase(tool);
          at.bank.addMode({ reference }, '500-before');
          const failure = await engine
            .attempt(tool, intent, { claim: { attempt: 6 } })
            .catch((error: unknown) => error);
          if (!(failure instanceof ApplicationFailure)) throw failure;
          return Number(failure.nextRetryDelay);
        }),
      );
      // Sixth attempt: uniform below 8 s. In step would be one value; forty draws fill most of the window.
      expect(new Set(delays).size).toBeGreaterThan(30);
      expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(4_000);
      expect(Math.max(...delays)).toBeLessThanOrEqual(8_000);
    },
  );

  guarantee(
    'law-07-one-retry-layer',
    'once: forty dispatches after an open send → one send',
    async () => {
      const tool = mailTool(at.mailbox.url);
      const { reference, intent } = newCase(tool, { call: randomUUID() });
      at.mailbox.addMode({ reference }, 'commit-then-reset');
      for (let dispatch = 0; dispatch < 40; dispatch += 1) {
        await at.engine.attempt(tool, intent).catch(() => undefined);
      }
      expect(at.writesOf(reference)).toHaveLength(1);
    },
  );
});

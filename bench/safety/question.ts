// The question of `npm run bench -- safety`: what the effect ledger costs, beside a plain activity and a bare commit.
import { defineQuestion } from '../question.ts';
import { measureSafety } from './measure-safety.ts';
import { DURABLE_COMMITS_MAX, renderSafety } from './report.ts';
import { withDurableServers } from './servers.ts';

export const safetyQuestion = defineQuestion({
  says:
    'what the effect ledger costs: a plain activity, effect() with a keyed tool, and a plain activity with one\n' +
    '  PostgreSQL commit, in interleaved rounds: time per effect, effects per second, commits per effect. Ends with 1\n' +
    `  when an effect needs more than ${DURABLE_COMMITS_MAX} durable commits or the bank has a receipt twice; never for being slow.\n` +
    '  PAWL_TEST_DATABASE_URL and PAWL_TEST_TEMPORAL_ADDRESS name servers of your own; databases are made and dropped there',
  counts: {
    effects: { usual: 200, min: 2, says: 'effects of each kind in a round, one after the other' },
    rounds: { usual: 5, min: 1, says: 'rounds A B C' },
    concurrency: {
      usual: 50,
      min: 1,
      says: 'workflows at once when effects per second are measured',
    },
  },
  async ask(counts) {
    const onProgress = (message: string): void => void process.stderr.write(`${message}\n`);
    const report = await withDurableServers(() => measureSafety({ ...counts, onProgress }));
    return { report, text: renderSafety(report), isRight: report.violations.length === 0 };
  },
});

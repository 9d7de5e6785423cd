// `npm run contrast` in short: the plain worker has to fail, or the comparison proves nothing.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect } from '@jest/globals';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { guarantee } from '../guarantee.ts';

const MAIN = new URL('../../devstack/contrast/main.ts', import.meta.url).pathname;
const run = promisify(execFile);

describe('npm run contrast', () => {
  guarantee(
    'S2-21',
    'three runs under kills, resets and lost answers → duplicates on the plain worker, none with effect()',
    async () => {
      const { TEMPORAL_ADDRESS: _t, DATABASE_URL: _d, ...env } = process.env;
      const options = { env: { ...env, NODE_OPTIONS: '' }, timeout: 480_000 };
      const argv = [...runtimeArguments(MAIN), MAIN, '--runs', '3', '--seed', '1', '--json'];
      const { stdout } = await run(process.execPath, argv, options);
      const { systems } = JSON.parse(stdout) as { systems: readonly { duplicates: number }[] };
      const [plain, withEffect] = systems;
      expect(plain?.duplicates).toBeGreaterThan(0);
      expect(withEffect).toMatchObject({ duplicates: 0, lost: 0, silentDoubts: 0 });
    },
    500_000,
  );
});

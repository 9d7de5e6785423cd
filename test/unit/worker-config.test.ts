// What a worker refuses to start with.
import { describe, expect, it } from '@jest/globals';
import { ConfigInvalid, readWorkerConfig } from '../../workers/config.ts';

const DATABASE_URL = 'postgres://127.0.0.1/pawl';
const crashing = (more: Record<string, string | undefined>) => () =>
  readWorkerConfig({ DATABASE_URL, PAWL_CRASH_AT: 'after-send', ...more });

describe('PAWL_CRASH_AT', () => {
  it.each([undefined, '', 'production', 'staging'])(
    'NODE_ENV %j → the worker does not start, and says what to unset or set',
    (NODE_ENV) => {
      expect(crashing({ NODE_ENV })).toThrow(ConfigInvalid);
      expect(crashing({ NODE_ENV })).toThrow(/Unset it, or set PAWL_ALLOW_CRASH_POINTS=1/);
      expect(crashing({ NODE_ENV, PAWL_ALLOW_CRASH_POINTS: '0' })).toThrow(ConfigInvalid);
    },
  );

  it.each([
    { NODE_ENV: 'test' },
    { NODE_ENV: 'development' },
    { NODE_ENV: 'production', PAWL_ALLOW_CRASH_POINTS: '1' },
  ])('%j → taken', (more) => {
    expect(crashing(more)().crashAt).toBe('after-send');
  });

  it('not set, or empty → nothing to allow', () => {
    expect(readWorkerConfig({ DATABASE_URL, NODE_ENV: 'production' }).crashAt).toBeUndefined();
    expect(crashing({ PAWL_CRASH_AT: '', NODE_ENV: 'production' })().crashAt).toBe('');
  });
});

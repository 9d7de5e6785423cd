// The safety mutants stay applicable: their texts stand once in the code of today, and their tests exist.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { MUTANTS } from '../mutants/mutants.ts';

const root = join(import.meta.dirname, '../..');

describe('the safety mutants', () => {
  it('at least 25, each with a name of its own', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(25);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
    '%s → stands once in its file, and its tests are there',
    (_name, { file, find, put, tests }) => {
      expect(readFileSync(join(root, file), 'utf8').split(find)).toHaveLength(2);
      expect(put).not.toBe(find);
      expect(tests.filter((test) => !existsSync(join(root, test)))).toEqual([]);
    },
  );
});

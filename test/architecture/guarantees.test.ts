// The gate of the manifest: every guarantee is cited by a test, and every cited id is a guarantee.
import { describe, expect, it } from '@jest/globals';
import { type GuaranteeId, guarantees, provenWithoutServers } from '../guarantees.ts';
import { toMarkdown } from '../guarantees-page.ts';
import { readHouse } from './house-files.ts';

const house = readHouse();
const tests = house.filter(({ path: file }) => file.endsWith('.test.ts'));

/** Ids in calls of guarantee and guarantee.each, one or a list; a test that is commented out cites nothing. */
function citedIn(text: string): string[] {
  const code = text.replace(/^\s*(\/\/|\/?\*).*$/gm, '');
  const calls = code.matchAll(/\bguarantee(?:\.each)?\(\s*(\[[^\]]*\]|'[^']*')/g);
  return [...calls].flatMap(([, ids = '']) =>
    [...ids.matchAll(/'([^']*)'/g)].map(([, id = '']) => id),
  );
}

const cited = new Set(tests.flatMap(({ text }) => citedIn(text)));
const onServers = /^(test\/(contract|workflow|replay|crash|e2e)|examples)\//;
const citedOnServers = new Set(
  tests.filter(({ path: file }) => onServers.test(file)).flatMap(({ text }) => citedIn(text)),
);
const ids = Object.keys(guarantees) as GuaranteeId[];

describe('the manifest', () => {
  it('every id → cited by a test', () => {
    expect(ids.filter((id) => !cited.has(id))).toEqual([]);
  });

  it('every id of processes, servers or histories → cited by a test that runs them', () => {
    const needServers = ids.filter((id) => !provenWithoutServers.includes(id));
    expect(needServers.filter((id) => !citedOnServers.has(id))).toEqual([]);
  });

  it('every cited id → in the manifest', () => {
    const unknown = [...cited].filter((id) => !Object.hasOwn(guarantees, id));
    expect(unknown).toEqual([]);
  });

  it('a citation → found in each of its forms', () => {
    const name = 'guarantee';
    const text = `${name}('a-1', 't', f); ${name}(\n  ['b-2', 'c-3'],\n 't', f); ${name}.each('d-4', [['x']])('t', f);`;
    expect(citedIn(text)).toEqual(['a-1', 'b-2', 'c-3', 'd-4']);
    expect(citedIn(`  // ${name}('a-1', 't', f);`)).toEqual([]);
  });

  it('docs/guarantees.md → up to date; if not: npm run docs:guarantees', () => {
    const page = house.find(({ path: file }) => file === 'docs/guarantees.md');
    expect(page?.text).toBe(toMarkdown());
  });
});

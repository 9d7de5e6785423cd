// Snippets in pages are the files that run: each marked block equals its file, or the named region of it.
import { describe, expect, it } from '@jest/globals';
import { type HouseFile, readHouse } from './house-files.ts';

const house = readHouse();
const pages = house.filter(({ path: file }) => file.endsWith('.md'));
const README_LINES_MAX = 220;
const ARCHITECTURE_LINES_MAX = 200;

/** `<!-- from FILE -->` or `<!-- from FILE#REGION -->`, then a fenced block. */
const MARKED = /<!-- from (\S+?)(?:#(\S+))? -->\n```\w*\n([^]*?)\n```/g;

interface Snippet {
  readonly page: string;
  readonly file: string;
  readonly region: string | undefined;
  readonly text: string;
}

function snippetsOf({ path: page, text: all }: HouseFile): Snippet[] {
  return [...all.matchAll(MARKED)].map(([, file = '', region, text = '']) => ({
    page,
    file,
    region,
    text,
  }));
}

/** The lines between `// region NAME` and `// endregion`; without a name, all but the opening comment. */
function sourceOf({ file, region }: Snippet): string | undefined {
  const text = house.find(({ path: at }) => at === file)?.text;
  if (region === undefined) return text?.replace(/^(?:\/\/ .*\n)+/, '').trim();
  const body = text?.split(`// region ${region}\n`)[1]?.split('// endregion')[0];
  return body === undefined ? undefined : dedent(body.trimEnd());
}

/** As far to the left as its first line allows. */
function dedent(text: string): string {
  const indent = /^ */.exec(text)?.[0] ?? '';
  return text.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
}

describe('snippets', () => {
  const snippets = pages.flatMap(snippetsOf);

  it('every mark in a page → found with its block', () => {
    const marks = pages.flatMap(({ text }) => [...text.matchAll(/^<!-- from /gm)]);
    expect(snippets).toHaveLength(marks.length);
    expect(snippets.map(({ file }) => file)).toContain('examples/first-agent/agent.ts');
  });

  it.each(snippets)('$page: $file $region → the file that runs; copy it again', (snippet) => {
    expect(sourceOf(snippet)).toBeDefined();
    expect(snippet.text).toBe(sourceOf(snippet));
  });

  it('a first agent and its worker → at most 40 lines', () => {
    const lines = snippets
      .filter(({ page, file }) => page === 'README.md' && file.startsWith('examples/first-agent/'))
      .flatMap(({ text }) => text.split('\n'));
    expect(lines.length).toBeGreaterThan(20);
    expect(lines.length).toBeLessThanOrEqual(40);
  });

  it('effect() in a workflow that one has → fewer than ten new lines', () => {
    const text = house.find(
      ({ path: at }) => at === 'examples/existing-workflow/workflow.ts',
    )?.text;
    const added = text?.split('\n').filter((line) => line.endsWith('// +')) ?? [];
    expect(added.length).toBeGreaterThan(0);
    expect(added.length).toBeLessThan(10);
  });
});

describe('lengths', () => {
  it.each([
    ['README.md', README_LINES_MAX],
    ['ARCHITECTURE.md', ARCHITECTURE_LINES_MAX],
  ])('%s → at most %d lines', (name, max) => {
    const page = pages.find(({ path: file }) => file === name);
    expect(page?.text.split('\n').length).toBeLessThanOrEqual(max);
  });

  it('plain “exactly once” without “effects” → in no page', () => {
    const found = pages.flatMap(({ path: file, text }) =>
      [...text.matchAll(/exactly[- ]once(?! effects|-effects)/gi)].map(
        ({ index }) => `${file}: ${text.slice(index, index + 60)}`,
      ),
    );
    expect(found).toEqual([]);
  });
});

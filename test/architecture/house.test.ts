// The house is tidy: sizes, names, opening sentences, leftovers, links and commands; style as an ordinary test.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ESLint } from 'eslint';
import { type HouseFile, readHouse, root } from './house-files.ts';

const LINES_MAX = 400;
const house = readHouse();
const code = house.filter(({ path: file }) => /\.(ts|js|mjs|sql)$/.test(file));
const pages = house.filter(({ path: file }) => file.endsWith('.md'));
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
  files: string[];
};

/** Paths of the files that the rule finds, each with what was found. */
function findings(
  files: readonly HouseFile[],
  find: (text: string, file: string) => string | undefined,
): string[] {
  return files.flatMap(({ path: file, text }) => {
    const found = find(text, file);
    return found === undefined ? [] : [`${file}: ${found}`];
  });
}

const match =
  (pattern: RegExp) =>
  (text: string): string | undefined =>
    pattern.exec(text)?.[0];

/** The comment that a file opens with, on one line; undefined when there is none. */
function openingOf(text: string): string | undefined {
  const body = text.replace(/^#!.*\n/, '').replace(/^-- Up Migration\n\n/, '');
  return /^(?:(?:\/\/|--) .*\n)+/
    .exec(body)?.[0]
    .replace(/^(\/\/|--) /gm, '')
    .replaceAll('\n', ' ')
    .trim();
}

describe('source files', () => {
  it(`each → at most ${LINES_MAX} lines`, () => {
    const isTooLong = (text: string): string | undefined => {
      const lines = text.split('\n').length - 1;
      return lines > LINES_MAX ? `${lines} lines` : undefined;
    };
    expect(findings(code, isTooLong)).toEqual([]);
  });

  it('each → opens with a sentence that says what it is', () => {
    const opensBadly = (text: string): string | undefined => {
      const opening = openingOf(text);
      if (opening === undefined) return 'no comment on the first line';
      return opening.endsWith('.') ? undefined : `not a sentence: ${opening}`;
    };
    expect(findings(code, opensBadly)).toEqual([]);
  });

  it('each → a kebab-case name that says something', () => {
    const isBadName = (_text: string, file: string): string | undefined => {
      const name = path.basename(file);
      if (/^(utils?|helpers?|misc|common|types)\./.test(name)) return 'a name for anything';
      if (file.endsWith('.sql')) return undefined;
      return /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*$/.test(name) ? undefined : 'not kebab-case';
    };
    expect(findings(code, isBadName)).toEqual([]);
  });

  it('default exports → only where a tool asks for them', () => {
    const found = findings(code, match(/^export (default\b|.*\bas default\b)/m));
    expect(found.map((line) => line.split(':')[0]).sort()).toEqual([
      'eslint.config.mjs',
      'jest.config.js',
      'test/plain-line-reporter.js',
      'test/servers-setup.ts',
      'test/servers-teardown.ts',
    ]);
  });

  it.each(['domain/rules', 'workflows', 'activities', 'workers', 'client', 'testing', 'devstack'])(
    '%s/ → the linter holds 70 lines a function and 400 a file',
    async (room) => {
      const config = (await new ESLint({ cwd: root }).calculateConfigForFile(
        path.join(root, room, 'any.ts'),
      )) as { rules: Record<string, unknown[]> };
      expect(config.rules['max-lines-per-function']).toEqual([2, { max: 70 }]);
      expect(config.rules['max-lines']).toEqual([2, { max: LINES_MAX }]);
    },
  );

  it('workflow modules → keep nothing: all executions of a thread share them', () => {
    const shared = code.filter(({ path: file }) => /^(workflows|domain\/rules)\//.test(file));
    const keeps = match(/^(export )?(let|var) .*|^(export )?const .*= new (Weak)?(Map|Set)\b.*/m);
    expect(keeps('const seen = new Map<string, number>();')).toBeDefined();
    expect(findings(shared, keeps)).toEqual([]);
  });

  it('check → formats, lints and compiles', () => {
    expect(manifest.scripts['check']).toBe('prettier --check . && eslint . && tsc --noEmit -p .');
  });
});

describe('every text', () => {
  // Spelled apart, so that this file is not a finding.
  const leftovers = ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'];
  const machinePaths = [
    '/ro' + 'ot/',
    '/wo' + 'rk/',
    '/Us' + 'ers/',
    '/ho' + 'me/\\w',
    '\\.\\./sha' + 'red/',
  ];

  it('leftovers of work → none', () => {
    const pattern = new RegExp(
      `\\b(${leftovers.join('|')})\\b|\\b(it|describe|test|guarantee)\\.on` + 'ly\\(',
    );
    expect(findings(house, match(pattern))).toEqual([]);
  });

  it('paths of somebody’s machine or outside of the house → none', () => {
    expect(findings(house, match(new RegExp(machinePaths.join('|'))))).toEqual([]);
  });

  it('the lockfile → names no registry', () => {
    const lock = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
    expect(lock).not.toMatch(/"resolved": "http/);
  });
});

describe('what is published and written', () => {
  it('every migration → in `files` of package.json', () => {
    const migrations = house.filter(({ path: file }) => file.endsWith('.sql'));
    const isLeftOut = (_text: string, file: string): string | undefined =>
      manifest.files.some((listed) => file.startsWith(`${listed}/`)) ? undefined : 'left out';
    expect(migrations.length).toBeGreaterThan(0);
    expect(findings(migrations, isLeftOut)).toEqual([]);
  });

  it('every npm command in a page → a script of package.json', () => {
    const known = new Set(Object.keys(manifest.scripts));
    const unknown = findings(pages, (text) => {
      const named = [...text.matchAll(/\bnpm (?:run(?: -s)? ([\w:-]+)|(start|test)\b)/g)];
      const missing = named
        .map(([, run, short]) => run ?? short ?? '')
        .filter((name) => !known.has(name));
      return missing.length > 0 ? `npm run ${missing.join(', ')}` : undefined;
    });
    expect(unknown).toEqual([]);
  });

  it('every relative link in a page → a file that is there', () => {
    const dead = findings(pages, (text, file) => {
      const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(
        ([, link = '']) => link,
      );
      const missing = links.filter(
        (link) => !existsSync(path.join(root, path.dirname(file), link)),
      );
      return missing.length > 0 ? missing.join(', ') : undefined;
    });
    expect(dead).toEqual([]);
  });
});

describe('the lock file', () => {
  it('every optional package of another platform → is in it: npm ci refuses a lock that leaves one out', () => {
    const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }>;
    };
    const names = new Set(Object.keys(packages).map((at) => at.split('node_modules/').at(-1)));
    const wanted = Object.values(packages).flatMap((one) =>
      Object.keys(one.optionalDependencies ?? {}),
    );
    expect(wanted.length).toBeGreaterThan(20);
    expect(wanted.filter((name) => !names.has(name))).toEqual([]);
  });
});

// The import table of eslint.config.mjs, cell by cell: planted imports are refused with the message that teaches.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { guarantee } from '../guarantee.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const eslint = new ESLint({
  cwd: root,
  // The planted files are not on disk, so the typed rules have nothing to ask.
  overrideConfig: [
    { files: ['**/*.ts'], ...tseslint.configs.disableTypeChecked },
    { rules: { '@typescript-eslint/no-unused-vars': 'off' } },
  ],
});

async function messagesOf(file: string, code: string): Promise<string[]> {
  const text = `// Planted by a test.\n${code}\n`;
  const [result] = await eslint.lintText(text, { filePath: `${root}/${file}` });
  return (result?.messages ?? []).map(({ message }) => message);
}

const value = (specifier: string): string => `import { it } from '${specifier}';\nvoid it;`;
const type = (specifier: string): string =>
  `import type { It } from '${specifier}';\nexport type Mine = It;`;

// How a planted file of each room names a file of each other room.
const specifiers = {
  rules: 'domain/rules/effect.ts',
  schemas: 'domain/schemas/define-tool.ts',
  root: 'domain/index.ts',
  workflows: 'workflows/agent-run.ts',
  messages: 'workflows/messages.ts',
  activities: 'activities/index.ts',
  encryption: 'activities/encryption/encryption.ts',
  workers: 'workers/index.ts',
  client: 'client/index.ts',
  testing: 'testing/index.ts',
  devstack: 'devstack/data-dir.ts',
  examples: 'examples/payouts/agent.ts',
} as const;
type Target = keyof typeof specifiers;
const targets = Object.keys(specifiers) as Target[];

interface Row {
  file: string;
  values: readonly Target[];
  types: readonly Target[];
  npm: readonly string[];
  refusedNpm: readonly string[];
  /** Part of every refusal in this room. */
  teaches: string;
}

const anyNpm = ['pg', 'undici', '@temporalio/activity', 'node:fs'];
const all = targets.filter((target) => target !== 'examples');
// The other half of the table, written down a second time on purpose: a change there is a decision here.
const rows: Record<string, Row> = {
  'domain/rules': {
    file: 'domain/rules/planted.ts',
    values: ['rules'],
    types: [],
    npm: [],
    refusedNpm: ['zod', 'node:crypto', 'crypto', 'ulid', '@temporalio/workflow', 'pawl'],
    teaches: 'Rules are pure',
  },
  'domain/schemas': {
    file: 'domain/schemas/planted.ts',
    values: ['rules', 'schemas', 'root'],
    types: [],
    npm: ['zod'],
    refusedNpm: ['pg', 'node:fs', '@temporalio/common', 'pawl/client'],
    teaches: 'Schemas are pure',
  },
  'the package root': {
    file: 'domain/index.ts',
    values: ['rules', 'schemas', 'root'],
    types: [],
    npm: ['zod'],
    refusedNpm: ['node:fs'],
    teaches: 'Schemas are pure',
  },
  workflows: {
    file: 'workflows/planted.ts',
    values: ['rules', 'workflows', 'messages'],
    types: ['schemas', 'root', 'activities', 'encryption'],
    npm: ['@temporalio/workflow', '@temporalio/common'],
    refusedNpm: ['zod', '@temporalio/client', 'node:crypto', 'luxon', 'pawl/workflows'],
    teaches: "Workflows run in Temporal's sandbox",
  },
  activities: {
    file: 'activities/planted.ts',
    values: ['rules', 'schemas', 'root', 'activities', 'encryption'],
    types: [],
    npm: anyNpm,
    refusedNpm: ['pawl', 'pawl/client'],
    teaches: 'Activities do deeds',
  },
  workers: {
    file: 'workers/planted.ts',
    values: ['rules', 'schemas', 'root', 'activities', 'encryption', 'workers'],
    types: [],
    npm: anyNpm,
    refusedNpm: ['pawl/workflows'],
    teaches: 'workflows they name by path only',
  },
  client: {
    file: 'client/cli/planted.ts',
    values: ['rules', 'schemas', 'root', 'messages', 'encryption', 'client'],
    types: ['workflows'],
    npm: anyNpm,
    refusedNpm: ['pawl/workers'],
    teaches: 'Clients ask from outside',
  },
  testing: {
    file: 'testing/planted.ts',
    values: all,
    types: [],
    npm: [...anyNpm, 'pawl'],
    refusedNpm: [],
    teaches: '',
  },
  devstack: {
    file: 'devstack/planted.ts',
    values: all,
    types: [],
    npm: anyNpm,
    refusedNpm: [],
    teaches: '',
  },
  test: {
    file: 'test/unit/planted.ts',
    values: all,
    types: [],
    npm: [...anyNpm, 'pawl/client'],
    refusedNpm: [],
    teaches: '',
  },
  bench: {
    file: 'bench/planted.ts',
    values: all,
    types: [],
    npm: anyNpm,
    refusedNpm: [],
    teaches: '',
  },
  examples: {
    file: 'examples/payouts/planted.ts',
    values: ['examples'],
    types: [],
    npm: [...anyNpm, 'pawl', 'pawl/workflows', 'pawl/workers', 'pawl/client', 'pawl/testing'],
    refusedNpm: [],
    teaches: 'An example is a user',
  },
};

/** The specifier by which one file names another. */
function toSpecifier(from: string, target: Target): string {
  const up = '../'.repeat(from.split('/').length - 1);
  return `${up}${specifiers[target]}`;
}

const cells = Object.entries(rows).flatMap(([room, row]) =>
  targets
    .filter((target) => row.values.includes(target) || row.teaches !== '')
    .map((target) => ({ room, row, target, specifier: toSpecifier(row.file, target) })),
);

describe('import table', () => {
  guarantee(
    'import-table',
    'every cell of the table → allowed or refused as design says',
    async () => {
      for (const { row, target, specifier } of cells) {
        const messages = await messagesOf(row.file, value(specifier));
        const cell = { file: row.file, target, messages };
        if (row.values.includes(target)) {
          expect(cell).toEqual({ ...cell, messages: [] });
          continue;
        }
        const verb = row.types.includes(target) ? 'may import only types of' : 'may not import';
        expect(cell).toEqual({ ...cell, messages: [expect.stringContaining(verb)] });
        expect(messages[0]).toContain(row.teaches);
        expect(messages[0]).toContain('See the table in eslint.config.mjs');
      }
    },
  );

  guarantee('import-table', 'import type → only where the table says types', async () => {
    for (const { row, target, specifier } of cells) {
      const messages = await messagesOf(row.file, type(specifier));
      const isAllowed = row.values.includes(target) || row.types.includes(target);
      const expected = isAllowed ? [] : [expect.stringContaining('may not import')];
      expect({ file: row.file, target, messages }).toEqual({
        file: row.file,
        target,
        messages: expected,
      });
    }
  });

  guarantee('import-table', 'npm packages and builtins → only those of the room', async () => {
    for (const { file, npm, refusedNpm, teaches } of Object.values(rows)) {
      for (const name of npm) {
        expect({ file, name, messages: await messagesOf(file, value(name)) }).toEqual({
          file,
          name,
          messages: [],
        });
      }
      for (const name of refusedNpm) {
        const messages = await messagesOf(file, value(name));
        const lesson =
          name.startsWith('pawl') && teaches !== '' ? 'by relative path|may not' : 'may not';
        expect({ file, name, count: messages.length }).toEqual({ file, name, count: 1 });
        expect(messages[0]).toMatch(new RegExp(lesson));
      }
    }
  });

  it('every way to name a module → seen', async () => {
    const ways = [
      `export { x } from '../activities/index.ts';`,
      `export * from '../activities/index.ts';`,
      `export const load = (): Promise<unknown> => import('../activities/index.ts');`,
      `import '../activities/index.ts';`,
      `import { type PawlActivities } from '../activities/index.ts';\nexport type A = PawlActivities;`,
      `const x = require('../activities/index.ts');\nvoid x;`,
      `import { x } from './../activities/index.ts';\nvoid x;`,
    ];
    for (const code of ways) {
      const messages = await messagesOf('workflows/planted.ts', code);
      expect({ code, messages }).toEqual({
        code,
        messages: expect.arrayContaining([
          expect.stringContaining('workflows may import only types of activities'),
        ]),
      });
    }
    expect(
      await messagesOf('domain/rules/planted.ts', `export type X = import('node:fs').Stats;`),
    ).toEqual([expect.stringContaining(`domain/rules may not import Node's "node:fs"`)]);
  });

  it('relative import without its ending → told to end it in .ts', async () => {
    const messages = await messagesOf('client/planted.ts', value('./errors'));
    expect(messages).toEqual(['A relative import names its file: end "./errors" in ".ts".']);
  });

  it('an example of another example → refused', async () => {
    const messages = await messagesOf('examples/contrast/a.ts', value('../payouts/agent.ts'));
    expect(messages).toEqual([expect.stringContaining('An example is a user')]);
  });
});

describe('rules of a room', () => {
  const rules = 'domain/rules/planted.ts';
  const schemas = 'domain/schemas/planted.ts';
  const workflow = 'workflows/planted.ts';
  const activity = 'activities/planted.ts';
  const longFunction = `export function x(): void {\n${'void 0;\n'.repeat(70)}}`;
  const refusals: ReadonlyArray<[what: string, lesson: string, file: string, code: string]> = [
    ['Date.now in a rule', 'domain/ has no clock', rules, 'export const x = Date.now();'],
    ['new Date in a rule', 'domain/ has no clock', rules, 'export const x = new Date();'],
    ['Date() in a schema', 'domain/ has no clock', schemas, 'export const x = Date();'],
    ['Math.random in a rule', 'domain/ has no dice', rules, 'export const x = Math.random();'],
    ['process in a rule', 'domain/ is pure', rules, 'export const x = process.env;'],
    ['console in a rule', 'domain/ is pure', rules, 'console.log(1);'],
    ['fetch in a schema', 'domain/ is pure', schemas, "void fetch('http://a');"],
    ['setTimeout in a schema', 'domain/ is pure', schemas, 'setTimeout(() => 1, 1);'],
    [
      '.parse in a workflow',
      'Parse at the edges',
      workflow,
      'export const x = (s: P) => s.parse(1);',
    ],
    ['.safeParse in a workflow', 'Parse at the edges', workflow, 'void schema.safeParse(1);'],
    ['export default', 'No default exports', activity, 'export default 1;'],
    ['export default in a rule', 'No default exports', rules, 'export default 1;'],
    ['as default', 'No default exports', workflow, 'const x = 1;\nexport { x as default };'],
    [
      'a disable without use',
      'Unused eslint-disable',
      activity,
      '// eslint-disable-next-line no-var\nvoid 1;',
    ],
    ['401 lines', 'File has too many lines', activity, 'void 1;\n'.repeat(400)],
    ['a function of 72 lines', 'too many lines (72)', activity, longFunction],
  ];
  it.each(refusals)('%s → %s', async (_what, lesson, file, code) => {
    expect(await messagesOf(file, code)).toContainEqual(expect.stringContaining(lesson));
  });

  it.each([
    ['JSON.parse in a workflow', workflow, "export const x = JSON.parse('1') as unknown;"],
    ['a Date that is given', rules, 'export const x = (d: Date): number => d.getTime();'],
    ['a long function in a test', 'test/unit/planted.ts', longFunction],
    ["Jest's set-up", 'test/servers-setup.ts', 'export default 1;'],
  ])('%s → no finding', async (_what, file, code) => {
    expect(await messagesOf(file, code)).toEqual([]);
  });
});

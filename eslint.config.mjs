// The import table as data, and the few rules of this house; each message says why and what to do instead.
import { builtinModules } from 'node:module';
import path from 'node:path';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const ROOT = import.meta.dirname;
const PURE = ['domain/rules', 'domain/schemas'];

/**
 * Who may import whom. `values`: freely. `types`: by `import type` only. `npm`: the packages, Node's builtins among
 * them; 'any' for all. A room, or one file of a room. What is not listed is forbidden.
 */
const table = {
  'domain/rules': {
    values: ['domain/rules'],
    npm: [],
    why: 'Rules are pure: no I/O, no clock, no packages, so that workflows, tests and the model checker run the same code.',
  },
  'domain/schemas': {
    values: PURE,
    npm: ['zod'],
    why: 'Schemas are pure and loaded by everybody: pass what they need in as an argument.',
  },
  workflows: {
    values: ['domain/rules', 'workflows'],
    types: ['domain/schemas', 'activities'],
    npm: ['@temporalio/workflow', '@temporalio/common'],
    why: "Workflows run in Temporal's sandbox and must replay: let an activity do it, and parse at the edges.",
  },
  activities: {
    values: [...PURE, 'activities'],
    npm: 'any',
    why: 'Activities do deeds and know nobody above them: take it as a dependency (`deps`) instead.',
  },
  workers: {
    values: [...PURE, 'activities', 'workers'],
    npm: 'any',
    why: 'Workers wire rules and activities; workflows they name by path only (`workflowsPath`), because an import would run sandbox code in the worker.',
  },
  client: {
    values: [
      ...PURE,
      'workflows/messages.ts',
      'activities/encryption/encryption.ts',
      'workers/bundle-settings.ts',
      'client',
    ],
    types: ['workflows'],
    npm: 'any',
    why: 'Clients ask from outside: over Temporal, by the names in workflows/messages.ts, and over PostgreSQL.',
  },
  testing: { values: 'all', npm: 'any' },
  devstack: { values: 'all', npm: 'any' },
  test: { values: 'all', npm: 'any' },
  bench: { values: 'all', npm: 'any' },
  examples: {
    values: [],
    npm: 'any',
    why: 'An example is a user: it imports package entries (`pawl`, `pawl/workflows`, `pawl/workers`, `pawl/client`, `pawl/testing`), npm, and its own folder.',
  },
};
const ROOMS = Object.keys(table);
const MAY_USE_ENTRIES = ['examples', 'test', 'testing', 'bench', 'devstack'];
const SEE = 'See the table in eslint.config.mjs.';

/** The room of a file, by its path below the root; the root entry of the package counts as schemas. */
function roomOf(file) {
  if (file === 'domain/index.ts') return 'domain/schemas';
  return ROOMS.find((room) => file.startsWith(`${room}/`));
}

function covers(list, file) {
  return list.some((entry) => entry === file || entry === roomOf(file));
}

/** Why this file may not import this specifier, as a sentence; undefined when it may. */
function refusal(file, specifier, isTypeOnly) {
  const from = roomOf(file);
  if (!from) return undefined;
  return specifier.startsWith('.')
    ? refusedPath(from, file, specifier, isTypeOnly)
    : refusedPackage(from, specifier);
}

function refusedPath(from, file, specifier, isTypeOnly) {
  if (!/\.(ts|js|json|sql)$/.test(specifier)) {
    return `A relative import names its file: end "${specifier}" in ".ts".`;
  }
  const { values, types = [], why } = table[from];
  const target = path.posix.join(path.posix.dirname(file), specifier);
  if (values === 'all' || covers(values, target)) return undefined;
  if (from === 'examples' && ownFolder(target) === ownFolder(file)) return undefined;
  const to = roomOf(target) ?? target;
  if (!covers(types, target)) return `${from} may not import ${to}. ${why} ${SEE}`;
  if (isTypeOnly) return undefined;
  return `${from} may import only types of ${to}: write \`import type { … }\`. ${why} ${SEE}`;
}

function ownFolder(file) {
  return file.split('/').slice(0, 2).join('/');
}

function refusedPackage(from, specifier) {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  if (name === 'pawl') {
    return MAY_USE_ENTRIES.includes(from)
      ? undefined
      : `Inside the house, import by relative path: "${specifier}" is the door for users. ${SEE}`;
  }
  const { npm, why } = table[from];
  if (npm === 'any' || npm.includes(name)) return undefined;
  const isBuiltin = name.startsWith('node:') || builtinModules.includes(name);
  const what = isBuiltin ? `Node's "${specifier}"` : `the package "${specifier}"`;
  const allowed = npm.length > 0 ? `Only ${npm.join(' and ')}. ` : '';
  return `${from} may not import ${what}. ${allowed}${why} ${SEE}`;
}

const importTable = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const file = path.relative(ROOT, context.filename).split(path.sep).join('/');
    const check = (node, source, isTypeOnly) => {
      if (typeof source?.value !== 'string') return;
      const message = refusal(file, source.value, isTypeOnly);
      if (message) context.report({ node, message });
    };
    return {
      ImportDeclaration: (node) => check(node, node.source, node.importKind === 'type'),
      ExportNamedDeclaration: (node) => check(node, node.source, node.exportKind === 'type'),
      ExportAllDeclaration: (node) => check(node, node.source, node.exportKind === 'type'),
      ImportExpression: (node) => check(node, node.source, false),
      TSImportType: (node) => check(node, node.source ?? node.argument?.literal, true),
      'CallExpression[callee.name="require"]': (node) => check(node, node.arguments[0], false),
    };
  },
};

const noDefaultExport = [
  {
    selector: 'ExportDefaultDeclaration, ExportSpecifier[exported.name="default"]',
    message: 'No default exports: a name that is written once is found everywhere.',
  },
];
const noClock = {
  selector: ':matches(NewExpression, CallExpression)[callee.name="Date"]',
  message: 'domain/ has no clock: take the time as an argument (`nowMs`).',
};
const noSchemaInWorkflows = {
  selector:
    'CallExpression[callee.property.name=/^(safeParse|safeParseAsync|parseAsync|parse)$/]:not([callee.object.name="JSON"])',
  message:
    'Parse at the edges, never in workflow code: a schema that is tightened later makes an old history fail. Parse in the client or in an activity.',
};
const syntax = (...bans) => ({ 'no-restricted-syntax': ['error', ...bans] });

const impure = ['process', 'console', 'fetch', 'crypto', 'performance', 'Buffer'];
const timers = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'];
const pureDomain = {
  ...syntax(...noDefaultExport, noClock),
  'no-restricted-globals': [
    'error',
    ...[...impure, ...timers].map((name) => ({
      name,
      message: 'domain/ is pure: let the caller do it, or take it as an argument.',
    })),
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: noClock.message },
    { object: 'Math', property: 'random', message: 'domain/ has no dice: take `random` in.' },
  ],
};

const numbers = {
  'max-lines': ['error', { max: 400 }],
  'max-lines-per-function': ['error', { max: 70 }],
};

const typed = {
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-misused-promises': 'error',
  '@typescript-eslint/await-thenable': 'error',
  '@typescript-eslint/switch-exhaustiveness-check': [
    'error',
    { considerDefaultExhaustiveForUnions: true },
  ],
};

const habits = {
  '@typescript-eslint/consistent-type-imports': [
    'error',
    { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
  ],
  // `import { type X }` still loads the module (verbatimModuleSyntax): only `import type` does not.
  '@typescript-eslint/no-import-type-side-effects': 'error',
  '@typescript-eslint/explicit-module-boundary-types': 'error',
  // A closure may read a variable before its only assignment: as `const` it would be in its dead zone.
  'prefer-const': ['error', { ignoreReadBeforeAssign: true }],
  '@typescript-eslint/no-unused-vars': [
    'error',
    {
      argsIgnorePattern: '^_',
      varsIgnorePattern: '^_',
      caughtErrorsIgnorePattern: '^_',
      ignoreRestSiblings: true,
    },
  ],
};

export default defineConfig(
  { ignores: ['dist/', 'coverage/', '.pawl/', 'node_modules/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' } },
  { files: ['**/*.{js,mjs}'], rules: numbers },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    plugins: { pawl: { rules: { 'import-table': importTable } } },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: ROOT } },
    rules: {
      'pawl/import-table': 'error',
      ...numbers,
      ...typed,
      ...habits,
      ...syntax(...noDefaultExport),
    },
  },
  { files: ['domain/**/*.ts'], rules: pureDomain },
  { files: ['workflows/**/*.ts'], rules: syntax(...noDefaultExport, noSchemaInWorkflows) },
  {
    // A contract suite is a test that is published.
    files: ['test/**/*.ts', 'examples/**/*.ts', 'testing/effect-ledger-*.ts'],
    rules: { 'max-lines-per-function': 'off' },
  },
  {
    files: ['test/**/*.ts', 'examples/**/*.ts'],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  // Jest demands default exports of its global set-up.
  {
    files: ['test/servers-setup.ts', 'test/servers-teardown.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
);

// `npm run mutants`: takes one protection away at a time, in a copy of the house, and sees that its tests notice.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findTestServers, stopTestServers } from 'pawl/testing';
import { type Mutant, MUTANTS } from './mutants.ts';

const USAGE = `npm run mutants -- [--only TEXT] [--list] [--json]

Each mutant takes one safety mechanism out of a copy of this checkout and runs the tests that must notice.
Prints killed/all; exit code 1 when one survives, or when a test fails without any mutant.

  npm run mutants                      all of them, a few minutes
  npm run mutants -- --only lease      those whose name holds the word`;

const root = join(import.meta.dirname, '../..');
const HOUSE = [
  'domain',
  'workflows',
  'activities',
  'workers',
  'client',
  'testing',
  'devstack',
  'examples',
  'test',
  'jest.config.js',
  'package.json',
  'tsconfig.json',
];

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

interface Tested {
  readonly name: string;
  readonly isKilled: boolean;
  /** The first test that failed. */
  readonly by: string;
  readonly seconds: number;
}

function copyHouse(): string {
  const copy = mkdtempSync(join(tmpdir(), 'pawl-mutants-'));
  for (const part of HOUSE) cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Runs test files in the copy; resolves with what failed, nothing when all passed. */
function runTests(copy: string, files: readonly string[]): Promise<string | undefined> {
  const args = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
  const child = spawn(process.execPath, [...args, '--bail', '--silent', ...files], {
    cwd: copy,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) return resolve(undefined);
      // A suite that could not even be loaded says nothing about a protection.
      if (!/^Tests: .*\bfailed\b/m.test(output)) reject(new Error(output.slice(-4_000)));
      else resolve(/● (.+)/.exec(output)?.[1]?.trim() ?? 'a test');
    });
  });
}

/** Mutates, tests, and puts the file back. */
async function testMutant(copy: string, { name, file, find, put, tests }: Mutant): Promise<Tested> {
  const path = join(copy, file);
  const original = readFileSync(path, 'utf8');
  const places = original.split(find).length - 1;
  if (places !== 1) throw new Error(`"${name}": its text stands ${places} times in ${file}`);
  const startedMs = performance.now();
  writeFileSync(
    path,
    original.replace(find, () => put),
  );
  try {
    let by: string | undefined;
    for (const test of tests) by ??= await runTests(copy, [test]);
    const seconds = (performance.now() - startedMs) / 1_000;
    return { name, isKilled: by !== undefined, by: by ?? '', seconds };
  } finally {
    writeFileSync(path, original);
  }
}

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const chosen = MUTANTS.filter(({ name }) => name.includes(options.only));
  if (options.list || chosen.length === 0) {
    process.stdout.write(`${MUTANTS.map(({ name }) => name).join('\n')}\n`);
    return chosen.length === 0 ? 2 : 0;
  }
  const copy = copyHouse();
  try {
    const servers = await findTestServers();
    process.env['PAWL_TEST_TEMPORAL_ADDRESS'] = servers.temporalAddress;
    process.env['PAWL_TEST_DATABASE_URL'] = servers.databaseUrl;
    return await testAll(copy, chosen);
  } finally {
    await stopTestServers();
    rmSync(copy, { recursive: true, force: true });
  }
}

async function testAll(copy: string, chosen: readonly Mutant[]): Promise<number> {
  process.stderr.write('without a mutant: ');
  const files = [...new Set(chosen.flatMap(({ tests }) => tests))];
  const broken = await runTests(copy, files);
  if (broken !== undefined) {
    process.stderr.write(`RED, so nothing can be said: ${broken}\n`);
    return 1;
  }
  process.stderr.write(`green (${files.length} test files)\n`);
  const tested: Tested[] = [];
  for (const mutant of chosen) {
    process.stderr.write(`${tested.length + 1}/${chosen.length} ${mutant.name} … `);
    const result = await testMutant(copy, mutant);
    tested.push(result);
    const how = result.isKilled ? `killed by: ${result.by}` : 'SURVIVED';
    process.stderr.write(`${how} (${result.seconds.toFixed(0)} s)\n`);
  }
  const killed = tested.filter(({ isKilled }) => isKilled).length;
  const report = { killed, mutants: tested.length, tested };
  process.stdout.write(
    options.json ? `${JSON.stringify(report)}\n` : `${killed}/${tested.length} killed\n`,
  );
  return killed === tested.length ? 0 : 1;
}

process.exit(await main());

// The command line as a whole: help, exit codes and errors, with a client that is not real.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { createProgram, runCli } from '../../client/cli/program.ts';
import { createFakeIo } from './cli-fake-io.ts';

const COMMANDS = [
  ...['run', 'list', 'show', 'watch', 'approvals', 'approve', 'deny', 'pause', 'resume', 'cancel'],
  ...[
    'session',
    'steer',
    'effects',
    'doubts',
    'settle',
    'why',
    'reconcile',
    'fork',
    'compensate',
    'erase',
    'gc',
    'audit',
    'keys',
    'codec-server',
    'dev',
    'tools',
    'doctor',
    'replay',
    'worker',
    'build-bundle',
    'completion',
  ],
];

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = createFakeIo();
  const code = await runCli(argv, io);
  return { code, out: io.stdout(), err: io.stderr() };
}

describe('help', () => {
  it('program → every command of the plan, by name', () => {
    const program = createProgram(createFakeIo(), () => undefined);
    const names = program.commands.map((command) => command.name());
    expect(names.filter((name) => name !== 'complete').sort()).toEqual([...COMMANDS].sort());
  });

  it.each(COMMANDS)('%s --help → exit 0, with examples', async (command) => {
    const { code, out } = await run(command, '--help');
    expect(code).toBe(0);
    expect(out).toContain('Examples:');
    expect(out).toContain('--json');
  });

  it('no command → the help on stderr, exit 2', async () => {
    const { code, out, err } = await run();
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('Human control:');
  });
});

describe('usage mistakes', () => {
  it.each([
    [['lsit'], /Did you mean list/],
    [['show'], /missing required argument 'run'/],
    [['list', '--status', 'odd'], /Allowed choices are starting/],
    [['list', '--limit', '0'], /whole number above 0/],
    [['settle', 'ef_123456', 'perhaps', '-e', 'x'], /Allowed choices are applied, not-applied/],
    [['settle', 'ef_123456', 'applied'], /required option '-e, --evidence/],
    [['pause', 'latest', '--timeout', 'soon'], /"soon" is not a duration/],
    [['run', 'a', '--watch', '--detach'], /cannot be used with option/],
    [['run', 'a', '--input', '{'], /--input: the text is not JSON/],
  ])('%j → exit 2 and what is wrong, no stack trace', async (argv, message) => {
    const { code, out, err } = await run(...argv);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(message);
    expect(err).not.toMatch(/\n\s+at /);
  });

  it('with --json → one JSON document that holds the error', async () => {
    const { code, out } = await run('--json', 'run', 'a', '--input', '{');
    expect(code).toBe(2);
    expect(JSON.parse(out)).toEqual({
      error: { code: 'Argument.Invalid', message: expect.stringContaining('--input') },
    });
  });
});

describe('servers that are not there', () => {
  it('no database set → exit 3 and the way to one', async () => {
    const { code, err } = await run('list');
    expect(code).toBe(3);
    expect(err).toMatch(/No database is set.*pawl dev.*DATABASE_URL/);
  });

  it('database down → exit 3, its address without the password', async () => {
    const { code, err } = await run(
      'list',
      '--database-url',
      'postgres://me:s3cret@127.0.0.1:1/pawl',
    );
    expect(code).toBe(3);
    expect(err).toMatch(/PostgreSQL at 127\.0\.0\.1:1\/pawl does not answer: .*ECONNREFUSED/);
    expect(err).not.toContain('s3cret');
  });

  it('stack whose process was killed → exit 3, and it says that the stack is not running', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pawl-cli-'));
    const databaseUrl = 'postgres://me:s3cret@127.0.0.1:1/pawl';
    const stack = { temporalAddress: '127.0.0.1:1', databaseUrl, pid: 2 ** 22 + 1 };
    writeFileSync(join(folder, 'stack.json'), JSON.stringify(stack));
    const io = createFakeIo({ env: { PAWL_DATA_DIR: folder } });
    try {
      expect(await runCli(['list'], io)).toBe(3);
      expect(io.stderr()).toMatch(
        /stack\.json \(process 4194305\) is not running: start it with `pawl dev`/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('not an address at all → exit 3 and how one looks', async () => {
    const { code, err } = await run('list', '--database-url', 's3cret');
    expect(code).toBe(3);
    expect(err).toMatch(/not an address such as postgres:/);
    expect(err).not.toContain('s3cret');
  });
});

describe('the process', () => {
  const root = join(import.meta.dirname, '../..');
  const pawl = (argv: string[], env: Record<string, string>) =>
    promisify(execFile)(
      process.execPath,
      ['--conditions=pawl-source', '--import', 'tsx', 'client/cli/main.ts', ...argv],
      { cwd: root, env: { PATH: process.env['PATH'], PAWL_DATA_DIR: '/nowhere', ...env } },
    ).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );

  const COLOUR = /\u001b\[/;

  it('piped → exit code of the table, no colours', async () => {
    const { code, stdout, stderr } = await pawl(['list'], {});
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^error: No database is set/);
    expect(stderr).not.toMatch(COLOUR);
  });

  it('FORCE_COLOR → colours even in a pipe', async () => {
    const { stderr } = await pawl(['list'], { FORCE_COLOR: '1' });
    expect(stderr).toMatch(COLOUR);
  });

  it('completion of "ap" → the commands, one line each', async () => {
    const { code, stdout } = await pawl(['complete', '--', 'ap'], {});
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^approve\t/),
        expect.stringMatching(/^approvals\t/),
      ]),
    );
    expect(stdout.trim().split('\n')).toHaveLength(3);
  });
});

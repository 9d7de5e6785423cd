// How the command line reads its arguments and inputs.
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { explain } from '../../client/cli/replay-history.ts';
import { readHistory } from '../../client/replay/history-file.ts';
import { readJsonArgument } from '../../client/cli/input-argument.ts';
import { findStack, findUsedStack, toClientOptions } from '../../client/cli/stack-file.ts';
import { parseTypedId } from '../../client/ids.ts';
import { resolveSettings, toPrintableAddress } from '../../client/settings.ts';
import { createFakeIo } from './cli-fake-io.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pawl-cli-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('short ids', () => {
  it.each([
    ['run', 'run_01M7X5', { letters: '01m7x5', hasPrefix: true }],
    ['run', 'RUN_01m7x5', { letters: '01m7x5', hasPrefix: true }],
    ['effect', ' 7q2k9x ', { letters: '7q2k9x', hasPrefix: false }],
  ] as const)('%s %p → letters', (kind, typed, expected) => {
    expect(parseTypedId(kind, typed)).toEqual(expected);
  });

  it.each(['run_01M7X', 'abcde', '', 'run_', "run_x' or 1=1", '%%%%%%%%'])(
    '%p → Id.Invalid',
    (typed) => {
      expect(() => parseTypedId('run', typed)).toThrow(
        expect.objectContaining({ code: 'Id.Invalid', exitCode: 2 }),
      );
    },
  );
});

describe('JSON arguments', () => {
  const read = (text: string, stdin = '') =>
    readJsonArgument(
      createFakeIo({ cwd: folder, readStdin: () => Promise.resolve(stdin) }),
      '--input',
      text,
    );

  it('in place, from a file, from stdin → the value', async () => {
    writeFileSync(join(folder, 'in.json'), '{"a":2}');
    await expect(read('{"a":1}')).resolves.toEqual({ a: 1 });
    await expect(read('@in.json')).resolves.toEqual({ a: 2 });
    await expect(read('-', '{"a":3}')).resolves.toEqual({ a: 3 });
  });

  it.each([
    ['{bad', /--input: the text is not JSON/],
    ['@missing.json', /missing\.json: there is no such file/],
    ['-', /what came on stdin is not JSON/],
  ])('%p → Argument.Invalid that says what to write', async (text, message) => {
    const failure = expect.objectContaining({
      code: 'Argument.Invalid',
      message: expect.stringMatching(message),
    });
    await expect(read(text)).rejects.toEqual(failure);
  });
});

describe('the stack file', () => {
  const write = (content: unknown): void => {
    mkdirSync(join(folder, '.pawl'));
    writeFileSync(join(folder, '.pawl', 'stack.json'), JSON.stringify(content));
  };
  const STACK = {
    temporalAddress: '127.0.0.1:7233',
    databaseUrl: 'postgres://engine@localhost/pawl',
    clientDatabaseUrl: 'postgres://service@localhost/pawl',
    taskQueue: 'pawl',
    pid: process.pid,
  };

  it('in a folder above → found, the service role first, runs started by dev', () => {
    write(STACK);
    const below = join(folder, 'a', 'b');
    mkdirSync(below, { recursive: true });
    const stack = findStack(below, {});
    expect(stack).toMatchObject({ isRunning: true, databaseUrl: STACK.clientDatabaseUrl });
    expect(stack && toClientOptions(stack)).toMatchObject({ requester: 'dev', taskQueue: 'pawl' });
  });

  it('environment names a server → the stack is not used', () => {
    write(STACK);
    expect(findUsedStack(folder, {})).toBeDefined();
    expect(findUsedStack(folder, { DATABASE_URL: 'postgres://x/y' })).toBeUndefined();
    expect(findUsedStack(folder, { TEMPORAL_ADDRESS: 'x:1' })).toBeUndefined();
  });

  it('PAWL_DATA_DIR → that folder and no other', () => {
    write(STACK);
    expect(findStack(folder, { PAWL_DATA_DIR: join(folder, 'other') })).toBeUndefined();
    expect(findStack('/', { PAWL_DATA_DIR: join(folder, '.pawl') })).toBeDefined();
  });

  it('process is gone → found, not running', () => {
    write({ ...STACK, pid: 2 ** 22 + 1 });
    expect(findStack(folder, {})).toMatchObject({ isRunning: false });
  });

  it('half a file → Stack.FileBroken that names it', () => {
    write({ pid: 1 });
    expect(() => findStack(folder, {})).toThrow(
      expect.objectContaining({
        code: 'Stack.FileBroken',
        message: expect.stringContaining(join(folder, '.pawl', 'stack.json')),
      }),
    );
  });
});

describe('settings', () => {
  it('nothing set → the documented defaults, and no database', () => {
    expect(resolveSettings({ requester: 'anna' }, {})).toEqual({
      temporalAddress: 'localhost:7233',
      namespace: 'default',
      databaseUrl: undefined,
      tenant: 'default',
      taskQueue: 'pawl',
      requester: 'anna',
      plaintext: 'refuse',
    });
  });

  it('option, environment → the option wins, an empty variable counts as not set', () => {
    const env = { PAWL_TENANT: 'acme', PAWL_NAMESPACE: '', TEMPORAL_ADDRESS: 'a:1' };
    const settings = resolveSettings({ temporalAddress: 'b:2' }, env);
    expect(settings).toMatchObject({
      temporalAddress: 'b:2',
      tenant: 'acme',
      namespace: 'default',
    });
  });

  it.each([
    ['postgres://me:s3cret@db.example:5433/pawl?sslmode=require', 'db.example:5433/pawl'],
    ['postgres://db/pawl', 'db:5432/pawl'],
    ['s3cret', 'an address that is not a URL'],
  ])('%s → printed without a secret', (url, printed) => {
    expect(toPrintableAddress(url)).toBe(printed);
  });
});

describe('histories', () => {
  it.each([
    ['missing.bin', undefined, 'History.Unreadable'],
    ['text.json', 'no json', 'History.Malformed'],
    ['empty.json', '{"events":[]}', 'History.Empty'],
    ['text.bin', 'this is no protobuf at all', 'History.Malformed'],
  ])('%s → %s', async (name, content, code) => {
    if (content !== undefined) writeFileSync(join(folder, name), content);
    await expect(readHistory(folder, name)).rejects.toEqual(expect.objectContaining({ code }));
  });

  it('several copies of protobufjs → the message says how to get out', () => {
    const message = explain(new TypeError('type must be a Type'));
    expect(message).toContain('npm dedupe');
    expect(message).toContain('.bin');
    expect(explain(new Error('other'))).toBe('other');
  });
});

// Generated command lines against the real CLI: from commander's own tree of commands, with odd and with likely values.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Argument, Command, Option } from 'commander';
import fc from 'fast-check';
import { createProgram, runCli } from '../../client/cli/program.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';

export interface CommandWorld {
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  /** Ids that exist, by the names of arguments: `run`, `effect`, `approval`, `agent`. */
  readonly known: Readonly<Record<string, readonly string[]>>;
}

export interface CommandReport {
  readonly counts: Readonly<Record<string, number>>;
  /** Of each kind of failure, how many. */
  readonly violations: Readonly<Record<'crashed' | 'raw' | 'hung' | 'exit', number>>;
  readonly examples: readonly string[];
}

/** These start programs of their own, or end with a shell's script. */
const NOT_HERE = new Set(['dev', 'worker', 'build-bundle', 'completion', 'complete']);
/** They bundle workflows for seconds once a file is named. */
const FILES_ARE_SLOW = new Set(['replay']);
const HANGS_AFTER_MS = 30_000;
const INTERRUPT_EVERY_MS = 100;
const EXITS = new Set([0, 1, 2, 3, 4, 130]);
const CRASH = /mistake in Pawl|"Internal"|^\s+at .+:\d+:\d+/m;
const RAW =
  /\b(22P0\d|2202\d|22003|23\d{3}|54000|54001|42\d{3}|XX000)\b|invalid byte sequence|violates/;

const ODD = [
  ...[
    '',
    ' ',
    '\t\n',
    '\0',
    'a\0b',
    '\ud800',
    'a\udc00b',
    '\u200b',
    '\u202eabc',
    '\u{e0041}',
    '0',
    '-1',
  ],
  ...[
    '9007199254740993',
    '1e400',
    'NaN',
    'Infinity',
    '1e9',
    '99999999999999999999',
    '0.5',
    '0x10',
    '٣',
  ],
  ...[
    'null',
    'true',
    '""',
    '{}',
    '[]',
    '{"file":',
    '{"file":7}',
    '{"a":1,"a":2}',
    '{"n":12345678901234567890}',
  ],
  ...[
    '"\\u0000"',
    '"\\ud800"',
    '-',
    '--',
    '---',
    '-x',
    '@',
    '@.',
    '@none.json',
    '@odd.bin',
    '@empty',
    '@fine.json',
  ],
  ...[
    'a=b',
    '=',
    'a=',
    'ef_7q2k9x=keep',
    'output.',
    'receiptId=output.__proto__',
    "'; drop table x; --",
    '%s%n',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'latest',
    'run_',
    'ef_',
    'ap_123456',
    '../../etc/passwd',
    '/dev/null',
  ],
  ...[
    'x'.repeat(20_000),
    '['.repeat(6_000),
    '"'.repeat(300),
    'é'.repeat(300),
    '2026-13-01',
    '2026-01-01',
    '5m',
    '1d',
  ],
  ...[
    'https://ui.example',
    'a,b',
    ',',
    '\\t',
    'csv',
    'fine.csv',
    'odd.bin',
    '.',
    'nonsense',
    'http://x',
    '127.0.0.1:1',
  ],
];

interface Leaf {
  readonly path: readonly string[];
  readonly args: readonly Argument[];
  readonly options: readonly Option[];
}

/** Every command that does something itself, with the options of the program. */
export function leavesOf(program: Command): readonly Leaf[] {
  const walk = (command: Command, path: readonly string[]): Leaf[] => {
    const below = command.commands.flatMap((one) => walk(one, [...path, one.name()]));
    if (path.length === 0 || below.length > 0) return below;
    return [
      {
        path,
        args: command.registeredArguments,
        options: [...command.options, ...program.options],
      },
    ];
  };
  return walk(program, []).filter(({ path }) => !NOT_HERE.has(path[0] ?? ''));
}

export function commandLines(world: CommandWorld): fc.Arbitrary<readonly string[]> {
  const program = createProgram(createFakeIo(), () => undefined);
  return fc.oneof(...leavesOf(program).map((leaf) => lineOf(leaf, world)));
}

function lineOf(
  { path, args, options }: Leaf,
  world: CommandWorld,
): fc.Arbitrary<readonly string[]> {
  const isSlow = FILES_ARE_SLOW.has(path[0] ?? '');
  const value = (name: string, choices: readonly string[] = []): fc.Arbitrary<string> => {
    const likely = [...choices, ...(world.known[name] ?? []), 'anna'];
    const odd = isSlow ? ODD.filter((each) => each !== '' && !/[./\\]/.test(each)) : ODD;
    const made = fc
      .string({ unit: 'binary', maxLength: 12 })
      .filter((text) => !isSlow || /^[a-z]+$/.test(text));
    return fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(...likely) },
      { weight: 5, arbitrary: fc.constantFrom(...odd) },
      { weight: 1, arbitrary: made },
    );
  };
  const positional = fc.tuple(
    ...args.map((each) => value(each.name().replaceAll('|session', ''), each.argChoices)),
  );
  const named = fc
    .subarray(
      [...options].filter((each) => each.long !== '--version'),
      { maxLength: 4 },
    )
    .chain((chosen) =>
      fc.tuple(...chosen.map((option) => flagOf(option, value))).map((words) => words.flat()),
    );
  const more = fc.oneof(
    { weight: 8, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(value('run'), { maxLength: 2 }) },
  );
  return fc
    .tuple(positional, requiredOf(options, value), named, more)
    .map((parts) => [...path, ...parts.flat()]);
}

type ValueOf = (name: string, choices?: readonly string[]) => fc.Arbitrary<string>;

function flagOf(option: Option, value: ValueOf): fc.Arbitrary<readonly string[]> {
  const flag = option.long ?? option.short ?? '--';
  if (option.isBoolean()) return fc.constant([flag]);
  return value(option.attributeName(), option.argChoices).map((text) => [flag, text]);
}

/** Mostly there: else every line would end at the first of them. */
function requiredOf(options: readonly Option[], value: ValueOf): fc.Arbitrary<readonly string[]> {
  const needed = options.filter(({ mandatory }) => mandatory);
  if (needed.length === 0) return fc.constant([]);
  return fc.tuple(...needed.map((option) => flagOf(option, value))).map((words) => words.flat());
}

/** Runs so many lines, one after another, in this process. */
export async function fuzzCommandLines(
  world: CommandWorld,
  { seed, cases, onProgress }: { seed: number; cases: number; onProgress?: (done: number) => void },
): Promise<CommandReport> {
  const cwd = mkdtempSync(join(tmpdir(), 'pawl-fuzz-'));
  writeFileSync(join(cwd, 'odd.bin'), Buffer.from([0, 255, 254, 10, 0x80]));
  writeFileSync(join(cwd, 'empty'), '');
  writeFileSync(join(cwd, 'fine.json'), '{"file":"a.csv"}');
  writeFileSync(join(cwd, 'fine.csv'), 'key,amount\nk,1.00\n');
  mkdirSync(join(cwd, 'folder'));
  const counts: Record<string, number> = {};
  const violations = { crashed: 0, raw: 0, hung: 0, exit: 0 };
  const examples: string[] = [];
  let done = 0;
  for (const argv of fc.sample(commandLines(world), { seed, numRuns: cases })) {
    const { code, text } = await runLine(argv, world, cwd);
    counts[`exit ${code}`] = (counts[`exit ${code}`] ?? 0) + 1;
    const wrong = judge(code, text);
    if (wrong) {
      violations[wrong] += 1;
      if (examples.length < 20)
        examples.push(`${wrong}: ${JSON.stringify(argv).slice(0, 400)}\n${text.slice(0, 1_500)}`);
    }
    onProgress?.((done += 1));
  }
  rmSync(cwd, { recursive: true });
  return { counts, violations, examples };
}

function judge(code: number | 'hung', text: string): keyof CommandReport['violations'] | undefined {
  if (code === 'hung') return 'hung';
  if (CRASH.test(text)) return 'crashed';
  if (RAW.test(text)) return 'raw';
  return EXITS.has(code) ? undefined : 'exit';
}

async function runLine(
  argv: readonly string[],
  world: CommandWorld,
  cwd: string,
): Promise<{ code: number | 'hung'; text: string }> {
  const io = createFakeIo({
    cwd,
    env: {
      DATABASE_URL: world.databaseUrl,
      TEMPORAL_ADDRESS: world.temporalAddress,
      PAWL_CODEC_TOKEN: 'x'.repeat(32),
    },
    readStdin: () => Promise.resolve('{"file":"\\ud800"}'),
    async *readLines() {
      yield* ['hello', '\0', 'x'.repeat(2_000_000)];
    },
  });
  // What follows a run or serves is ended as by Ctrl-C.
  const pressing = setInterval(() => io.interrupt(), INTERRUPT_EVERY_MS);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'hung'>(
    (resolve) => (timer = setTimeout(() => resolve('hung'), HANGS_AFTER_MS)),
  );
  try {
    const code = await Promise.race([runCli(argv, io), late]);
    return { code, text: io.stdout() + io.stderr() };
  } finally {
    clearInterval(pressing);
    clearTimeout(timer);
  }
}

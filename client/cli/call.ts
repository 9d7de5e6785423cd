// One call of a command: its options, a client that is opened when needed and closed at the end, one way to print.
import type { Command } from 'commander';
import { ExitCode, isPawlError, PawlError } from '../errors.ts';
import { PawlClient } from '../pawl-client.ts';
import type { ClientOptions } from '../settings.ts';
import type { CliIo } from './cli-io.ts';
import { formatSafeJson } from './format/safe-text.ts';
import { withProgress } from './progress.ts';
import { findUsedStack, type Stack, toClientOptions } from './stack-file.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly databaseUrl?: string;
  readonly temporalAddress?: string;
  readonly namespace?: string;
  readonly tenant?: string;
  readonly taskQueue?: string;
  /** Only on commands that ask for something. */
  readonly as?: string;
}

export interface Call<Options = object> {
  readonly io: CliIo;
  readonly args: readonly string[];
  readonly options: Options & GlobalOptions;
  /** The stack whose addresses are used; undefined when the environment or options name the servers. */
  readonly stack: Stack | undefined;
  /** A client whose database has been checked. */
  connect(): Promise<PawlClient>;
  /** A client that has asked nothing yet: for `doctor`. */
  open(): PawlClient;
  /** Prints the data as one JSON document with `--json`, else what `human` makes of it. */
  print(data: unknown, human: () => string): void;
  /** Draws progress on stderr when `work` takes long. */
  progress<T>(label: string | (() => string), work: Promise<T>): Promise<T>;
}

/** Makes an action for commander of a function that returns the exit code. */
export type ToAction = <Options = object>(
  work: (call: Call<Options>) => Promise<ExitCode | void>,
) => (...parameters: unknown[]) => Promise<void>;

/** Commands report their exit code to `setExitCode`; what they throw is for `runCli`. */
export function createToAction(io: CliIo, setExitCode: (code: ExitCode) => void): ToAction {
  return <Options>(work: (call: Call<Options>) => Promise<ExitCode | void>) =>
    async (...parameters: unknown[]) => {
      // Commander hands over the arguments, the options and, last, the command.
      const command = parameters.at(-1) as Command;
      const clients: PawlClient[] = [];
      const call = createCall<Options>(io, command, clients);
      try {
        setExitCode((await work(call)) ?? ExitCode.Ok);
      } catch (error) {
        throw explainStack(error, call.stack);
      } finally {
        await Promise.all(clients.map((client) => client.close()));
      }
    };
}

function createCall<Options>(io: CliIo, command: Command, clients: PawlClient[]): Call<Options> {
  const options = command.optsWithGlobals<Options & GlobalOptions>();
  const namesServers = options.databaseUrl !== undefined || options.temporalAddress !== undefined;
  const stack = namesServers ? undefined : findUsedStack(io.cwd, io.env);
  const clientOptions = toOptions(options, stack, io);
  const keep = (client: PawlClient): PawlClient => {
    clients.push(client);
    return client;
  };
  return {
    io,
    args: command.args,
    options,
    stack,
    connect: async () =>
      keep(await withProgress(io, 'connecting to the database', PawlClient.connect(clientOptions))),
    open: () => keep(PawlClient.open(clientOptions)),
    print: (data, human) => io.out(options.json ? `${formatSafeJson(data, 2)}\n` : human()),
    progress: (label, work) => withProgress(io, label, work),
  };
}

function toOptions(options: GlobalOptions, stack: Stack | undefined, io: CliIo): ClientOptions {
  const found: ClientOptions = stack ? toClientOptions(stack) : {};
  // An empty variable counts as not set; an empty option is a mistake.
  const from = (variable: string): string | undefined => io.env[variable] || undefined;
  return {
    databaseUrl: options.databaseUrl ?? found.databaseUrl ?? from('DATABASE_URL'),
    temporalAddress: options.temporalAddress ?? found.temporalAddress ?? from('TEMPORAL_ADDRESS'),
    namespace: options.namespace ?? from('PAWL_NAMESPACE'),
    tenant: options.tenant ?? from('PAWL_TENANT'),
    taskQueue: options.taskQueue ?? from('PAWL_TASK_QUEUE') ?? found.taskQueue,
    requester: options.as ?? found.requester,
  };
}

/** A stack that was killed leaves its file behind: that explains a server that does not answer. */
function explainStack(error: unknown, stack: Stack | undefined): unknown {
  if (!stack || stack.isRunning) return error;
  if (!isPawlError(error) || error.exitCode !== ExitCode.Unreachable) return error;
  const why = `The stack in ${stack.file} (process ${String(stack.pid)}) is not running: start it with \`pawl dev\`.`;
  return new PawlError(error.code, `${error.message}\n${why}`, error.exitCode, error);
}

// codec-server: decrypts payloads for Temporal's UI, for whoever has the token.
import { type Command, InvalidArgumentError } from 'commander';
import { toKeys } from '../../../activities/encryption/encryption.ts';
import { type CodecAccess, startCodecServer } from '../../codec-server.ts';
import { ArgumentInvalidError, ExitCode } from '../../errors.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { toSafeLine } from '../format/safe-text.ts';

interface CodecCommandOptions {
  readonly port: number;
  readonly host: string;
  readonly origin: readonly string[];
}

const DEFAULT_ORIGIN = 'http://127.0.0.1:8233';

export function addCodecCommand(program: Command, toAction: ToAction): void {
  const command = program
    .command('codec-server')
    .summary("decrypt payloads for Temporal's UI")
    .description(
      "Serves POST /decode for Temporal's UI until Ctrl-C. Whoever has the token can read every history: it comes from\n" +
        'PAWL_CODEC_TOKEN (32+ characters), and without one the server does not start. Log in once at its address; in the UI\n' +
        'set it as the codec endpoint with "include cross-origin credentials". It listens on this machine only.',
    )
    .option('--port <port>', 'where it listens', toPort, 8_081)
    .option('--host <address>', 'anything but loopback belongs behind TLS', '127.0.0.1')
    .option('--origin <url>', "the UI's origin; repeatable", collect, [] as readonly string[])
    .action(toAction<CodecCommandOptions>(serve));
  addExamples(command, [
    [
      'PAWL_CODEC_TOKEN=$(openssl rand -hex 32) pawl codec-server',
      `for the UI at ${DEFAULT_ORIGIN}`,
    ],
    ['pawl codec-server --origin https://temporal.example.com --port 9000', 'another UI'],
  ]);
}

async function serve(call: Call<CodecCommandOptions>): Promise<ExitCode> {
  const { io, options } = call;
  const keys = toKeys(io.env['PAWL_ENCRYPTION_KEYS'] || undefined);
  if (!keys)
    throw new ArgumentInvalidError('Set PAWL_ENCRYPTION_KEYS: there is nothing to decrypt with.');
  const { port, host, origin } = options;
  const origins = origin.length > 0 ? origin : [DEFAULT_ORIGIN];
  const token = io.env['PAWL_CODEC_TOKEN'] ?? '';
  const server = await startCodecServer({
    ...{ keys, token, origins, port, host },
    onRequest: (line) => io.err(`${formatAccess(line)}\n`),
  });
  call.print({ url: server.url, origins }, () => {
    const open = `codec server on ${server.url} for ${origins.join(', ')}; log in there once\n`;
    return open;
  });
  await new Promise<void>((resolve) => {
    const forget = io.onInterrupt(() => {
      forget();
      resolve();
    });
  });
  await server.close();
  return ExitCode.Ok;
}

function formatAccess({ at, from, origin, path, status, payloads }: CodecAccess): string {
  const what = payloads > 0 ? `${payloads} payloads` : '';
  return toSafeLine(`${at.toISOString()} ${from} ${origin ?? '-'} ${path} ${status} ${what}`);
}

function toPort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('Write a port from 0 to 65535.');
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

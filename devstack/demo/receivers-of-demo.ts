// The receivers of the demonstration as processes: the bank, the mailbox and, without an API key, the model provider.
import { join } from 'node:path';
import { packageRoot } from '../../activities/package-root.ts';
import { recordChild } from '../data-dir.ts';
import {
  connectReceiver,
  type ReceiverClient,
  type ReceiverProcess,
  type ReceiverProcessOptions,
  spawnReceiver,
} from '../receivers/index.ts';
import { type Books, keepPort, keptPort } from './books.ts';

export interface DemoReceivers {
  readonly bank: ReceiverClient;
  /** What the worker needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** For people: which model answers. */
  readonly model: string;
  stop(): Promise<void>;
}

/** The invoice during whose payment the worker is killed. */
export const INTERRUPTED = 'INV-1002';
/** The invoice whose answer the bank loses. */
export const ANSWER_LOST = 'INV-1005';

/** Starts them; the bank answers the interrupted invoice late and loses one answer. */
export async function startDemoReceivers(dataDir: string, books: Books): Promise<DemoReceivers> {
  const started: ReceiverProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.allSettled(started.map((receiver) => receiver.stop()));
  };
  const start = async (name: string, options: ReceiverProcessOptions): Promise<string> => {
    // A request that was frozen before the stack died names this address: it has to be found there again.
    const receiver = await spawnReceiver({ ...options, port: keptPort(books, name) });
    recordChild(dataDir, name, receiver.pid);
    started.push(receiver);
    keepPort(books, name, Number(new URL(receiver.url).port));
    return receiver.url;
  };
  try {
    const bankUrl = await start('bank', { kind: 'bank', logFile: books.bankLog });
    const mailboxUrl = await start('mailbox', { kind: 'mailbox', logFile: books.mailboxLog });
    const bank = connectReceiver(bankUrl);
    await bank.setMode(INTERRUPTED, 'slow', { delayMs: 4_000, times: 1 });
    await bank.setMode(ANSWER_LOST, 'commit-then-reset', { times: 1 });
    const { model, env } = await chooseModel(books, start);
    return { bank, env: { BANK_URL: bankUrl, MAILBOX_URL: mailboxUrl, ...env }, model, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const REAL_MODELS = [
  ['ANTHROPIC_API_KEY', 'anthropic/claude-sonnet-5-5'],
  ['OPENAI_API_KEY', 'openai/gpt-5-mini'],
] as const;

async function chooseModel(
  books: Books,
  start: (name: string, options: ReceiverProcessOptions) => Promise<string>,
): Promise<{ readonly model: string; readonly env: Readonly<Record<string, string>> }> {
  for (const [keyName, fallback] of REAL_MODELS) {
    if (!process.env[keyName]) continue;
    const model = process.env['PAYOUTS_MODEL'] ?? fallback;
    return { model: `${model} (${keyName} is set)`, env: { PAYOUTS_MODEL: model } };
  }
  const scriptFile = join(packageRoot(), 'examples/payouts/scripted-model.ts');
  const url = await start('provider', { kind: 'provider', scriptFile, logFile: books.modelLog });
  return {
    model: 'the local provider (set ANTHROPIC_API_KEY or OPENAI_API_KEY for a real one)',
    env: { ANTHROPIC_API_KEY: 'local-provider', ANTHROPIC_BASE_URL: url },
  };
}

// The effect engine on a real ledger, with tools for the fake receivers, driven as Temporal would drive it.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Clock } from '../../activities/clock.ts';
import type { CrashHook } from '../../activities/effects/crash-points.ts';
import { createEffectEngine, type EffectJob } from '../../activities/effects/effect-engine.ts';
import { fingerprint, shortId } from '../../activities/effects/fingerprint.ts';
import { createWire } from '../../activities/effects/wire.ts';
import type {
  Claim,
  EffectIntent,
  EffectLedger,
  EffectRecord,
} from '../../activities/ledger/effect-ledger.ts';
import type { IsGivenUp } from '../../activities/heartbeat.ts';
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import {
  defineTool,
  type EffectDeclaration,
  probeOf,
  type Tool,
  type ToolOptions,
} from '../../domain/schemas/define-tool.ts';
import { httpEffect } from '../../domain/schemas/http-effect.ts';
import { absent, found, type ProbeResult } from '../../domain/schemas/outcomes.ts';
import type { ProbeContext } from '../../domain/schemas/tool-context.ts';
import { newIntent } from '../../testing/effect-ledger-fixture.ts';

export interface Payment {
  readonly reference: string;
  readonly cents: number;
}
export interface Receipt {
  readonly id: string;
}
export type PaymentTool = Tool<Payment, Receipt>;

const payment = z.object({ reference: z.string(), cents: z.number() });
const receipt = z.object({ id: z.string() });

/** What a tool of these tests may say for itself. */
export type PaymentOptions = Partial<ToolOptions<Payment, Receipt>>;

/** A payment at the fake bank: with its key where the declaration has one, without where it has none. */
export function bankTool(url: string, options: PaymentOptions = {}): PaymentTool {
  const isKeyed = typeof options.effect === 'object' && options.effect.key !== undefined;
  return paymentTool({
    ...options,
    run:
      options.run ??
      httpEffect({
        request: ({ reference, cents }) => ({
          url: `${url}/transfers`,
          body: { reference, payee: 'Acme', amountMinor: cents, currency: 'EUR' },
          ...(isKeyed ? {} : { headers: { 'idempotency-key': '' } }),
        }),
        response: (body) => ({ id: (body as { transferId: string }).transferId }),
      }),
  });
}

/** A message at the fake mailbox; its subject is the reference. */
export function mailTool(url: string, options: PaymentOptions = {}): PaymentTool {
  return paymentTool({
    ...options,
    run: httpEffect({
      request: ({ reference }) => ({
        url: `${url}/messages`,
        body: { to: 'ada@example.com', subject: reference, text: 'paid' },
      }),
      response: (body) => ({ id: (body as { messageId: string }).messageId }),
    }),
  });
}

/** Any tool that takes a payment; its time-out is longer than every stall of the machine. */
export function paymentTool(options: PaymentOptions): PaymentTool {
  return defineTool<Payment, Receipt>({
    name: 'pay',
    description: 'Pay.',
    input: payment,
    output: receipt,
    timeout: '20s',
    run: () => Promise.reject(new Error('no run')),
    ...options,
  });
}

/** The bank's look-up by reference, as a probe. */
export function bankProbe(url: string) {
  return async (
    { reference }: Payment,
    { read, signal }: ProbeContext,
  ): Promise<ProbeResult<Receipt>> => {
    const answer = await read(`${url}/transfers?reference=${encodeURIComponent(reference)}`, {
      signal,
    });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const [transfer] = (await answer.json()) as { transferId: string }[];
    return transfer ? found({ id: transfer.transferId }) : absent();
  };
}

export const KEY: EffectDeclaration<Payment, Receipt> = { key: { retention: '24h' } };

let orders = 0;
/** As Temporal's scheduled times: every attempt comes later than all before it. */
export function nextOrder(): number {
  orders += 1;
  return orders;
}

/** What a test may change of one performed effect. */
export interface PerformOptions {
  readonly intent?: Partial<EffectIntent>;
  readonly claim?: Partial<Claim>;
  readonly seqSeen?: number;
  /** The effect as the performing process has stored it: then the job brings no intent, as an agent's calls do not. */
  readonly stored?: EffectRecord;
  readonly isGivenUp?: IsGivenUp;
  /** Nothing is retried after so many attempts. @default 40 */
  readonly attemptsMax?: number;
  /** Runs before each further attempt, with its number. */
  readonly beforeRetry?: (attempt: number) => void | Promise<void>;
}

export interface EngineBench {
  /** The job of one effect, with a claim of its own; the same `intent` is the same effect. */
  job(tool: PaymentTool, intent: EffectIntent, options?: PerformOptions): EffectJob;
  /** One attempt. */
  attempt(
    tool: PaymentTool,
    intent: EffectIntent,
    options?: PerformOptions,
  ): Promise<EffectOutcome>;
  /** Attempts as Temporal would make them, until one returns or a failure is final. */
  perform(
    tool: PaymentTool,
    intent: EffectIntent,
    options?: PerformOptions,
  ): Promise<EffectOutcome>;
}

export interface EngineOptions {
  readonly ledger: EffectLedger;
  readonly crash?: CrashHook;
  readonly wire?: typeof fetch;
  /** @default the machine's own */
  readonly clock?: Clock;
  /** @default 0.9, so that a case repeats */
  readonly random?: () => number;
}

/** Longer waits are cut: what matters is that they were asked for. */
const DELAY_CAP_MS = 1_000;
const MARGIN_MS = 200;

export function createEngineBench({
  ledger,
  crash = () => undefined,
  wire,
  clock,
  random = () => 0.9,
}: EngineOptions): EngineBench {
  const engine = createEffectEngine({
    ledger,
    crash,
    wire: wire ?? createWire({ privateNetworks: 'allow' }),
    ...(clock ? { clock } : {}),
    random,
  });
  const bench: EngineBench = {
    job: (tool, intent, { claim = {}, seqSeen = 0, stored, isGivenUp } = {}) => ({
      tool,
      tenant: intent.tenant,
      id: intent.id,
      rootKey: intent.rootKey,
      ...(stored ? { stored } : { intent }),
      ...(isGivenUp ? { isGivenUp } : {}),
      seqSeen,
      claim: { ...nextClaim(tool), ...claim },
    }),
    attempt: (tool, intent, options) => engine.perform(bench.job(tool, intent, options)),
    async perform(tool, intent, options = {}) {
      const { attemptsMax = 40, beforeRetry } = options;
      let triedForMs = 0;
      for (let attempt = 1; ; attempt += 1) {
        try {
          const claim = { attempt, triedForMs, ...options.claim };
          return await bench.attempt(tool, intent, { ...options, claim });
        } catch (error) {
          if (attempt >= attemptsMax || isFinal(error)) throw error;
          triedForMs += delayOf(error);
          await sleep(Math.min(delayOf(error), DELAY_CAP_MS));
          await beforeRetry?.(attempt + 1);
        }
      }
    },
  };
  return bench;
}

function nextClaim(tool: PaymentTool): Claim {
  const order = nextOrder();
  return { order, by: `attempt ${order}`, attempt: 1, leaseMs: tool.timeoutMs + MARGIN_MS };
}

function isFinal(error: unknown): boolean {
  const { name, nonRetryable } = error as { name?: string; nonRetryable?: boolean };
  return name !== 'ApplicationFailure' || nonRetryable === true;
}

function delayOf(error: unknown): number {
  const { nextRetryDelay } = error as { nextRetryDelay?: unknown };
  return typeof nextRetryDelay === 'number' ? nextRetryDelay : 0;
}

/** The intent of one payment by a tool. */
export function intentOf(
  tool: PaymentTool,
  input: Payment,
  change: Partial<EffectIntent> = {},
): EffectIntent {
  const intent = newIntent({
    tool: tool.name,
    contract: tool.contract,
    keyRetentionMs: tool.keyRetentionMs ?? null,
    hasProbe: tool.declaration.probe !== undefined,
    settleMs: probeOf(tool)?.settleMs ?? null,
    sendsMax: tool.sendsMax,
    fingerprint: fingerprint(input),
    arguments: { ...input },
    ...change,
  });
  return { ...intent, shortId: shortId('ef', intent.id) };
}

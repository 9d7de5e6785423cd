// defineTool: a tool's schema, what its receiver offers, and its code in one value; the contract is derived.
import type { z } from 'zod';
import { type Contract, deriveContract } from '../rules/contract.ts';
import { type Duration, toMs } from '../rules/durations.ts';
import { LOCAL_TIMEOUT_MAX_MS } from '../rules/effect-outcome.ts';
import { toHost } from '../rules/hosts.ts';
import { RETENTION_SHARE } from '../rules/next-move.ts';
import { requireArguments, requireCarried } from './check-schema.ts';
import { type Compensate, toCompensation } from './compensation.ts';
import type { ProbeResult } from './outcomes.ts';
import type { ProbeContext, ToolContext } from './tool-context.ts';

/** Money that an effect moves, in minor units (cents). */
export interface Amount {
  readonly minor: number;
  readonly currency: string;
}

/** One look-up at the receiver. A throw says nothing, and is tried again for two minutes. */
export type Look<Input, Output> = (input: Input, ctx: ProbeContext) => Promise<ProbeResult<Output>>;

/** A look-up, and how late it may see a send. */
export interface Probe<Input, Output> {
  readonly look: Look<Input, Output>;
  /**
   * How long after the last moment at which it can have been sent the look-up may still miss it, in milliseconds: an
   * `absent` before that proves nothing. At most a day. @default 2_000
   */
  readonly settleMs?: number;
}

/** What the receiver offers. Pawl derives the contract from it and prints it in `pawl tools`. */
export interface EffectDeclaration<Input, Output> {
  /** The receiver honours an idempotency key for so long. Never say more than its documentation does. */
  readonly key?: { readonly retention: Duration };
  /** Asks the receiver whether the effect happened. Must not change anything. */
  readonly probe?: Look<Input, Output> | Probe<Input, Output>;
  /** What makes two calls the same intention, in any turn or run. Without it only retries are recognised. */
  readonly identity?: (input: Input) => readonly (string | number)[];
  /** Stands in approvals, and policies see it as `amountMinor` and `currency`. */
  readonly amount?: (input: Input) => Amount;
  /** The tool writes into the ledger's own database by `ctx.transaction`, together with the effect's outcome. */
  readonly transactional?: true;
  /** How long a receiver that has accepted (`throw pending(reference)`) may take for its last word. @default '24h' */
  readonly pending?: { readonly within: Duration };
}

// What a declaration with explicit types is given is left open.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export interface ToolOptions<Input, Output, Given = any> {
  /** `[a-z][a-z0-9_]*`, at most 64 characters: every provider accepts it. */
  readonly name: string;
  /** What the model reads. */
  readonly description: string;
  /**
   * An object at its root, of values that JSON carries. What it makes of the model's JSON (defaults, transforms, a Date) is
   * what `run`, `identity`, `amount`, `probe`, `compensate` and policies see; its checks may be asynchronous.
   */
  readonly input: z.ZodType<Input, Given>;
  /** Judges what `run` returns, as JSON, and changes nothing of it. `z.void()` for a tool that returns nothing. */
  readonly output: z.ZodType<Output>;
  /** `'read'`: changes nothing. Absent or `'once'`: never resent. @default 'once' */
  readonly effect?: 'read' | 'once' | EffectDeclaration<Input, Output>;
  readonly retry?: {
    /** Sends of one effect, the first included; for reads: attempts. @default 4 */
    readonly maximumAttempts?: number;
    /**
     * How long a send that provably never left (connection refused, no such host) is tried again; such tries do not count
     * as sends. Afterwards the effect is refused with code `unreachable`. @default '10m'
     */
    readonly unsentFor?: Duration;
  };
  /** For one attempt; the claim's lease follows from it. @default '30s', '2s' for a `local` tool */
  readonly timeout?: Duration;
  /**
   * A short tool: its first attempt is a local activity, inside of the workflow task, which is faster and writes less
   * history. What that attempt leaves open goes on as an activity. `timeout` is '2s' at most. @default false
   */
  readonly local?: boolean;
  readonly limits?: { readonly callsPerRun?: number };
  /** A receiver's answer is read so far, on the wire and unpacked; beyond it is an error. @default 16 MB */
  readonly maxAnswerBytes?: number;
  /** The only hosts that this tool may reach: `api.bank.example`, `*.bank.example`, `bank.example:8443`. @default all */
  readonly egress?: readonly string[];
  /** Effects of one answer may be under way together. @default false */
  readonly parallel?: boolean;
  /**
   * `'own'`: `run` does not write through `ctx.fetch`, so the effect counts as sent from the moment `run` is entered.
   * @default 'fetch'
   */
  readonly wire?: 'fetch' | 'own';
  /** Throw `refused(code)` for a definite no; any other throw after the write is ambiguous. */
  readonly run: (input: Input, ctx: ToolContext) => Promise<Output>;
  /**
   * Undoes an applied effect; an effect of its own, with a key of its own. Called by `compensate()` in a workflow, by
   * `pawl compensate` and by `pawl fork --compensate`, never by Pawl itself.
   */
  readonly compensate?: Compensate<Input, Output>;
}

/** A tool as Pawl keeps it; make one with `defineTool`. */
export interface Tool<Input = never, Output = unknown, Given = Input> {
  readonly kind: 'pawl.tool';
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodType<Input, Given>;
  readonly output: z.ZodType<Output>;
  readonly contract: Contract;
  readonly declaration: EffectDeclaration<Input, Output>;
  readonly keyRetentionMs: number | undefined;
  readonly sendsMax: number;
  /** How long what never left is tried again, in milliseconds. */
  readonly unsentForMs: number;
  readonly timeoutMs: number;
  readonly callsPerRunMax: number | undefined;
  readonly maxAnswerBytes: number;
  /** In their normal form; undefined: all that the worker may reach. */
  readonly egress: readonly string[] | undefined;
  readonly parallel: boolean;
  /** Its first attempt runs inside of the workflow task. */
  readonly local: boolean;
  readonly wire: 'fetch' | 'own';
  readonly run: (input: Input, ctx: ToolContext) => Promise<Output>;
  /** How long the receiver may take for its last word after `pending`, in milliseconds. */
  readonly pendingMs: number;
  /** What undoes it, as a tool whose input is `{ input, output }`; undefined: it cannot be undone. */
  readonly compensation: AnyTool | undefined;
}

/** Any tool, when only its data matters; inputs are parsed before `run` is called. */
// A tool is contravariant in its input: `any` is the only type that all tools share.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyTool = Tool<any, any, any>;

/** What a tool is given, before its schema makes anything of it; for `effect<typeof refund>('refund')`. */
export type ToolInput<T> = T extends { readonly input: z.ZodType<unknown, infer Given> }
  ? Given
  : never;
/** What a tool's `run` returns. */
export type ToolOutput<T> = T extends { readonly output: z.ZodType<infer Output> } ? Output : never;

const NAME = /^[a-z][a-z0-9_]{0,63}$/;
const SENDS_MAX = 4;

/**
 * Declares a tool. Throws a `TypeError` that names the tool when the declaration contradicts itself, and when a schema is
 * none that JSON can carry.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in ToolOptions
export function defineTool<Input, Output, Given = any>(
  options: ToolOptions<Input, Output, Given>,
): Tool<Input, Output, Given> {
  const { name, effect = 'once' } = options;
  if (!NAME.test(name)) {
    throw new TypeError(
      `Tool "${name}": a name is ${NAME.source}, so that every provider accepts it`,
    );
  }
  requireArguments(`Tool "${name}": \`input\``, options.input);
  requireCarried(`Tool "${name}": \`output\``, options.output);
  const declaration: EffectDeclaration<Input, Output> = typeof effect === 'string' ? {} : effect;
  const keyRetentionMs = declaration.key && toMs(declaration.key.retention);
  const local = options.local ?? false;
  const timeoutMs = toTimeoutMs(name, options.timeout ?? (local ? '2s' : '30s'), local);
  const isTransactional = declaration.transactional === true;
  const hasProbe = declaration.probe !== undefined;
  assertSettleMs(name, declaration.probe);
  if (isTransactional && (declaration.key || hasProbe)) {
    throw new TypeError(`Tool "${name}": a transactional effect needs neither key nor probe`);
  }
  if (keyRetentionMs !== undefined && keyRetentionMs <= timeoutMs) {
    throw new TypeError(
      `Tool "${name}": the key's retention (${keyRetentionMs} ms) must be longer than one attempt (${timeoutMs} ms)`,
    );
  }
  assertLastResendFits(name, timeoutMs, keyRetentionMs);
  if (effect === 'read' && options.compensate) {
    throw new TypeError(
      `Tool "${name}": a read changes nothing, so there is nothing to compensate`,
    );
  }
  const tool: Tool<Input, Output, Given> = {
    kind: 'pawl.tool',
    name,
    description: options.description,
    input: options.input,
    output: options.output,
    contract: deriveContract({
      isRead: effect === 'read',
      isTransactional,
      keyRetentionMs,
      hasProbe,
    }),
    declaration,
    keyRetentionMs,
    sendsMax: toSendsMax(name, options.retry?.maximumAttempts ?? SENDS_MAX),
    unsentForMs: toMs(options.retry?.unsentFor ?? '10m'),
    timeoutMs,
    callsPerRunMax: options.limits?.callsPerRun,
    maxAnswerBytes: toAnswerBytes(name, options.maxAnswerBytes ?? ANSWER_BYTES_MAX),
    egress: toEgress(name, options.egress),
    parallel: options.parallel ?? false,
    local,
    wire: options.wire ?? 'fetch',
    run: options.run,
    pendingMs: toMs(declaration.pending?.within ?? '24h'),
    compensation: undefined,
  };
  if (!options.compensate) return tool;
  return { ...tool, compensation: toCompensation(tool, options.compensate) };
}

function toTimeoutMs(name: string, timeout: Duration, local: boolean): number {
  const timeoutMs = toMs(timeout);
  if (local && timeoutMs > LOCAL_TIMEOUT_MAX_MS) {
    throw new TypeError(
      `Tool "${name}": a local tool's timeout is at most ${LOCAL_TIMEOUT_MAX_MS} ms, not "${timeout}": ` +
        'shorten it, or leave `local` away',
    );
  }
  if (timeoutMs > 0) return timeoutMs;
  throw new TypeError(`Tool "${name}": a timeout is longer than nothing, not "${timeout}"`);
}

/** The look-up of a tool, and its settle window when it says one. */
export function probeOf<Input, Output>({
  declaration: { probe },
}: Pick<Tool<Input, Output>, 'declaration'>): Probe<Input, Output> | undefined {
  return typeof probe === 'function' ? { look: probe } : probe;
}

const SETTLE_MAX_MS = 86_400_000;

function assertSettleMs(name: string, probe: EffectDeclaration<never, unknown>['probe']): void {
  if (probe === undefined || typeof probe === 'function') return;
  const { settleMs = 0 } = probe;
  if (settleMs >= 0 && settleMs <= SETTLE_MAX_MS) return;
  throw new TypeError(
    `Tool "${name}": the probe's settleMs is from 0 to ${SETTLE_MAX_MS}, not ${settleMs}`,
  );
}

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

function toAnswerBytes(name: string, bytes: number): number {
  if (Number.isSafeInteger(bytes) && bytes >= 1) return bytes;
  throw new TypeError(`Tool "${name}": maxAnswerBytes is a whole number from 1, not ${bytes}`);
}

function toEgress(
  name: string,
  hosts: readonly string[] | undefined,
): readonly string[] | undefined {
  try {
    return hosts?.map(toHost);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TypeError(`Tool "${name}": egress: ${why}`, { cause: error });
  }
}

function toSendsMax(name: string, attempts: number): number {
  if (Number.isSafeInteger(attempts) && attempts >= 1) return attempts;
  throw new TypeError(`Tool "${name}": maximumAttempts is a whole number from 1, not ${attempts}`);
}

/** A resend at the very end of the horizon must arrive while the receiver still knows the key. */
function assertLastResendFits(
  name: string,
  timeoutMs: number,
  keyRetentionMs: number | undefined,
): void {
  if (keyRetentionMs === undefined) return;
  const trustedMs = keyRetentionMs * RETENTION_SHARE;
  if (keyRetentionMs - trustedMs >= timeoutMs) return;
  throw new TypeError(
    `Tool "${name}": the key's retention (${keyRetentionMs} ms) is trusted for ${trustedMs} ms, ` +
      `which leaves the last resend less than one attempt (${timeoutMs} ms): shorten the timeout`,
  );
}

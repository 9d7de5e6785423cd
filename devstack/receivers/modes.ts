// The fault modes of a receiver: which mode meets which request, how often, in which order; what a
// mode does is in perform.ts.
import { z } from 'zod';

/** Every way in which a fake receiver can answer a request that its mode matches. */
export const modeKinds = [
  /** Does it and answers. */
  'ok',
  /** Does it at once, answers after `delayMs`; the key counts as in flight until then. */
  'slow',
  /** Holds the request for `delayMs`, then does it: a look-up meanwhile finds nothing. */
  'late-commit',
  /** 400 `card_declined`: documented as not executed. Not remembered under the key. */
  'reject-before-commit',
  /** 500, nothing done, nothing remembered. */
  '500-before',
  /** Does it, answers 500, and answers the same 500 to this key for ever. */
  '500-after',
  /** Does it and never answers. */
  'commit-then-hang',
  /** Never answers, does nothing. */
  'hang-before-commit',
  /** Does it, then resets the connection (TCP RST). */
  'commit-then-reset',
  /** Does it, sends the headers and half of the body, then closes the connection. */
  'reset-mid-body',
  /** 409 `key_in_flight` without a look at the key. */
  '409-in-flight',
  /** 429 with `retry-after: retryAfterSeconds`, nothing done. */
  '429',
  /** Ignores the key: does it again. */
  'no-idempotency',
  /** Forgets a key that is `maxAgeMs` old or older: does it again. */
  'key-expiry',
  /** 202 `pending`: accepted; done after `delayMs`, or when it is settled by hand. */
  'pending',
  /** Look-ups (method GET) do not see what is younger than `delayMs`. */
  'stale-lookup',
] as const;

export type ModeKind = (typeof modeKinds)[number];

export interface ModeOptions {
  /** How many matching requests the mode meets before it is used up. Default: all. */
  times?: number | undefined;
  /**
   * For `slow`, `late-commit`, `stale-lookup` (default 1000) and `pending` (default: settled by
   * hand).
   */
  delayMs?: number | undefined;
  /** For `429`. Default 1. */
  retryAfterSeconds?: number | undefined;
  /** For `key-expiry`. Default 0: every key is forgotten. */
  maxAgeMs?: number | undefined;
  /**
   * For `pending`, where webhooks are sent: `early` does it and says so before it answers 202, `none` never says it.
   * Default `settled`: when it is done.
   */
  webhook?: 'settled' | 'early' | 'none' | undefined;
}

/**
 * Which requests a mode meets. A string that starts with `/` is a path, another one a business
 * reference, `*` is all.
 * In a path, `*` stands for one segment. Only writes (POST) match unless `method` says otherwise
 * (`*` is any method).
 */
export type ModeMatch =
  | string
  | {
      reference?: string | undefined;
      path?: string | undefined;
      method?: string | undefined;
    };

export interface ModeRule extends ModeOptions {
  match: ModeMatch;
  mode: ModeKind;
}

/** The mode that one request met. */
export type ActiveMode = ModeOptions & { kind: ModeKind };

export interface Modes {
  /**
   * From now on requests that match meet this mode: it replaces what was set for the same match.
   */
  setMode(match: ModeMatch, mode: ModeKind, options?: ModeOptions): void;
  /**
   * Queues a mode behind those of the same match: it takes over when they are used up (`times`).
   */
  addMode(match: ModeMatch, mode: ModeKind, options?: ModeOptions): void;
  clearModes(): void;
  /** What is still set, with the `times` that are left. */
  listModes(): ModeRule[];
}

export interface ModeTable extends Modes {
  /** The mode for this request; it uses up one of its times. */
  take(request: MatchedRequest): ActiveMode;
}

export interface MatchedRequest {
  method: string;
  pathname: string;
  reference?: string | undefined;
}

const optionsSchema = z.strictObject({
  times: z.number().int().positive().optional(),
  delayMs: z.number().nonnegative().optional(),
  retryAfterSeconds: z.number().int().nonnegative().optional(),
  maxAgeMs: z.number().nonnegative().optional(),
  webhook: z.enum(['settled', 'early', 'none']).optional(),
});
const matchSchema = z.union([
  z.string().min(1),
  z.strictObject({
    reference: z.string().optional(),
    path: z.string().startsWith('/').optional(),
    method: z.string().optional(),
  }),
]);
const ruleSchema = optionsSchema.extend({ match: matchSchema, mode: z.enum(modeKinds) });

/**
 * Parses a rule from outside (a command line, an admin request). Throws an error that names the
 * wrong field.
 */
export function toModeRule(value: unknown): ModeRule {
  const parsed = ruleSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`Not a mode: ${z.prettifyError(parsed.error)}`);
}

export function createModes(
  receiver: string,
  supported: ReadonlySet<ModeKind>,
  initial: ModeRule[],
): ModeTable {
  let rules: ModeRule[] = [];
  const add = (value: unknown): void => {
    const rule = toModeRule(value);
    if (!supported.has(rule.mode)) {
      throw new Error(
        `The ${receiver} has no mode "${rule.mode}". It has: ${[...supported].join(', ')}.`,
      );
    }
    rules.push(rule);
  };
  const table: ModeTable = {
    setMode(match, mode, options = {}) {
      const before = rules;
      rules = rules.filter((rule) => sameMatch(rule.match) !== sameMatch(match));
      try {
        add({ match, mode, ...options });
      } catch (error) {
        rules = before;
        throw error;
      }
    },
    addMode: (match, mode, options = {}) => add({ match, mode, ...options }),
    clearModes: () => void (rules = []),
    listModes: () => rules.map((rule) => ({ ...rule })),
    take(request) {
      const rule = mostSpecific(rules.filter(({ match }) => matches(match, request)));
      if (!rule) return { kind: 'ok' };
      const { match: _, mode: kind, ...options } = rule;
      if (rule.times !== undefined && --rule.times === 0) rules = rules.filter((r) => r !== rule);
      return { kind, ...options };
    },
  };
  for (const rule of initial) add(rule);
  return table;
}

interface FullMatch {
  reference: string | undefined;
  path: string | undefined;
  method: string;
}

function toFullMatch(match: ModeMatch): FullMatch {
  if (typeof match !== 'string') {
    return { reference: match.reference, path: match.path, method: match.method ?? 'POST' };
  }
  const isPath = match.startsWith('/');
  const reference = isPath || match === '*' ? undefined : match;
  return { reference, path: isPath ? match : undefined, method: 'POST' };
}

function sameMatch(match: ModeMatch): string {
  const { reference, path, method } = toFullMatch(match);
  return JSON.stringify([reference, path, method]);
}

function matches(match: ModeMatch, request: MatchedRequest): boolean {
  const { reference, path, method } = toFullMatch(match);
  if (method !== '*' && method !== request.method) return false;
  if (reference !== undefined && reference !== request.reference) return false;
  return path === undefined || samePath(path, request.pathname);
}

function samePath(pattern: string, pathname: string): boolean {
  const wanted = pattern.split('/');
  const given = pathname.split('/');
  return (
    wanted.length === given.length && wanted.every((part, i) => part === '*' || part === given[i])
  );
}

// A reference says more than a path, a path more than nothing; among equals the earliest goes
// first, as a queue.
function mostSpecific(rules: ModeRule[]): ModeRule | undefined {
  const weight = ({ match }: ModeRule): number => {
    const full = toFullMatch(match);
    return (full.reference === undefined ? 0 : 2) + (full.path === undefined ? 0 : 1);
  };
  return rules.reduce<ModeRule | undefined>(
    (best, rule) => (!best || weight(rule) > weight(best) ? rule : best),
    undefined,
  );
}

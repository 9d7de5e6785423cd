// Compares a receiver's statement with the ledger's effects, in both directions; it reads nothing: receipts and effects are fed in.

/** What can be wrong between a statement and the ledger. */
export const FindingKind = {
  /** No effect of the ledger explains this receipt. */
  UnknownToLedger: 'unknown-to-ledger',
  /** Applied, as the ledger has it, and the statement that should have it does not. */
  UnknownToReceiver: 'unknown-to-receiver',
  /** Several receipts for one effect. */
  Duplicate: 'duplicate',
  AmountDiffers: 'amount-differs',
  /** Nobody knew what became of it, and here is its receipt. */
  DoubtAnswered: 'doubt-answered',
  /** The ledger has a definite no, and the receiver did it. */
  RefusedButDone: 'refused-but-done',
  /** The ledger has not sent it (yet), and the receiver did it. */
  UnsentButDone: 'unsent-but-done',
} as const;
export type FindingKind = (typeof FindingKind)[keyof typeof FindingKind];

/** One receipt of a statement. */
export interface StatementReceipt {
  /** Where it stands, counted from 1. */
  readonly line: number;
  readonly idempotencyKey?: string | undefined;
  /** The business reference that both sides know. */
  readonly reference?: string | undefined;
  /** The receiver's own name for what it did. */
  readonly receiptId?: string | undefined;
  readonly amountMinor?: number | undefined;
  readonly currency?: string | undefined;
  readonly atMs?: number | undefined;
}

/** What of a receipt may be looked for in an effect. */
export type MatchField = 'reference' | 'receiptId';

/** One effect, as far as a statement can say something about it. */
export interface StatementEffect {
  readonly effect: string;
  readonly wireKey: string;
  /** A word that is not known here counts as under way. */
  readonly status: string;
  /** Somebody may be sending, or the receiver has said that it is at work. */
  readonly isOnWire: boolean;
  /** The effect whose outcome this one got without a send. */
  readonly sameAs: string | null;
  readonly sends: number;
  readonly amountMinor: number | null;
  readonly currency: string | null;
  /** When it can have reached the receiver first. */
  readonly sentAtMs: number;
  /** When it has reached the receiver at the latest. */
  readonly doneAtMs: number;
  /** Values that receipts are looked up by, one for each match field, in their order. */
  readonly references: readonly (string | null)[];
}

export interface StatementFinding<Effect extends StatementEffect = StatementEffect> {
  readonly kind: FindingKind;
  /** Absent only when no effect explains the receipt. */
  readonly effect?: Effect;
  /** None only when the receiver knows nothing of the effect. */
  readonly receipts: readonly StatementReceipt[];
  /** The effect that has the same reference as a receipt under a foreign key. */
  readonly resembles?: string;
}

export interface StatementPeriod {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface StatementCounts {
  /** Receipts, each counted once. */
  readonly receipts: number;
  /** Lines that repeat a receipt word for word. */
  readonly repeatedLines: number;
  /** Effects that have a receipt, and those that should have one. */
  readonly effects: number;
  /** Pairs of which both sides name an amount. */
  readonly amounts: number;
  /** Applied, without a receipt, and not certainly inside of the period: not judged. */
  readonly outside: number;
}

export interface StatementComparison<Effect extends StatementEffect> {
  /** All receipts come first. */
  addReceipt(receipt: StatementReceipt): void;
  /** The period between the first and the last receipt; undefined when none has a time. */
  inferPeriod(): StatementPeriod | undefined;
  readonly hasKeys: boolean;
  /** Then each effect, once; a finding is definite already when no receipt can be meant for it. */
  addEffect(effect: Effect, period: StatementPeriod): StatementFinding<Effect> | undefined;
  /** Then all other findings. */
  finish(period: StatementPeriod): StatementFinding<Effect>[];
  counts(): StatementCounts;
}

export interface StatementRules {
  /** What to recognise receipts without a key by; tried in this order. */
  readonly match: readonly MatchField[];
  /** How far from the period's edges an effect must be to be missed. */
  readonly graceMs: number;
}

/** Keeps the receipts, and of the effects only those that some receipt may be meant for. */
export function compareStatement<Effect extends StatementEffect>(
  rules: StatementRules,
): StatementComparison<Effect> {
  const receipts = createReceipts(rules.match);
  const candidates: Effect[] = [];
  const tally = { effects: 0, amounts: 0, outside: 0 };
  const miss = (effect: Effect, period: StatementPeriod): StatementFinding<Effect> | undefined => {
    if (effect.status !== 'applied' || effect.sameAs !== null) return undefined;
    if (!isInside(effect, period, rules.graceMs)) {
      tally.outside += 1;
      return undefined;
    }
    tally.effects += 1;
    return { kind: 'unknown-to-receiver', effect, receipts: [] };
  };
  return {
    addReceipt: receipts.add,
    inferPeriod: receipts.period,
    get hasKeys() {
      return receipts.byKey.size > 0;
    },
    addEffect(effect, period) {
      if (!receipts.mayMean(effect)) return miss(effect, period);
      candidates.push(effect);
      return undefined;
    },
    finish(period) {
      const pairs = pairUp(receipts, candidates, rules.match);
      const findings = [...unexplained(receipts, pairs, rules.match, period)];
      for (const effect of candidates) {
        const own = pairs.of.get(effect);
        const missed = own ? undefined : miss(effect, period);
        if (missed) findings.push(missed);
        if (!own) continue;
        tally.effects += 1;
        if (nameAmounts(effect, own)) tally.amounts += 1;
        findings.push(...judge(effect, own, pairs.byKey.has(effect)));
      }
      return findings;
    },
    counts: () => ({ ...receipts.counts(), ...tally }),
  };
}

function isInside(
  { sentAtMs, doneAtMs }: StatementEffect,
  { fromMs, toMs }: StatementPeriod,
  graceMs: number,
): boolean {
  return sentAtMs >= fromMs + graceMs && doneAtMs <= toMs - graceMs;
}

interface Receipts {
  add(receipt: StatementReceipt): void;
  period(): StatementPeriod | undefined;
  mayMean(effect: StatementEffect): boolean;
  counts(): Pick<StatementCounts, 'receipts' | 'repeatedLines'>;
  readonly all: readonly StatementReceipt[];
  readonly byKey: ReadonlyMap<string, readonly StatementReceipt[]>;
  readonly byReference: readonly ReadonlyMap<string, readonly StatementReceipt[]>[];
}

function createReceipts(match: readonly MatchField[]): Receipts {
  const all: StatementReceipt[] = [];
  const seen = new Map<string, StatementReceipt>();
  const byKey = new Map<string, StatementReceipt[]>();
  const byReference = match.map(() => new Map<string, StatementReceipt[]>());
  let [repeatedLines, fromMs, toMs] = [0, Infinity, -Infinity];
  return {
    all,
    byKey,
    byReference,
    add(receipt) {
      const { receiptId, idempotencyKey, atMs } = receipt;
      const twin = receiptId === undefined ? undefined : seen.get(receiptId);
      if (twin && isSameReceipt(twin, receipt)) {
        repeatedLines += 1;
        return;
      }
      all.push(receipt);
      if (receiptId !== undefined) seen.set(receiptId, receipt);
      if (idempotencyKey !== undefined) push(byKey, toKey(idempotencyKey), receipt);
      match.forEach((field, at) => {
        const [value, map] = [receipt[field], byReference[at]];
        if (value !== undefined && map) push(map, value, receipt);
      });
      if (atMs !== undefined) [fromMs, toMs] = [Math.min(fromMs, atMs), Math.max(toMs, atMs)];
    },
    period: () => (fromMs <= toMs ? { fromMs, toMs } : undefined),
    mayMean: ({ wireKey, references }) =>
      byKey.has(toKey(wireKey)) ||
      references.some((value, at) => value !== null && byReference[at]?.has(value)),
    counts: () => ({ receipts: all.length, repeatedLines }),
  };
}

/** The same receipt listed again, as pages that overlap do. */
function isSameReceipt(one: StatementReceipt, other: StatementReceipt): boolean {
  return (
    one.idempotencyKey === other.idempotencyKey &&
    one.reference === other.reference &&
    one.amountMinor === other.amountMinor &&
    one.currency === other.currency
  );
}

function push<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}

/** Some receivers give back the quotes of a structured field, or capitals. */
function toKey(text: string): string {
  return text
    .trim()
    .replace(/^"(.*)"$/, '$1')
    .toLowerCase();
}

interface Pairs<Effect> {
  readonly of: ReadonlyMap<Effect, readonly StatementReceipt[]>;
  readonly byKey: ReadonlySet<Effect>;
  readonly explained: ReadonlySet<StatementReceipt>;
  /** Effects by the values that receipts are looked up by. */
  readonly pools: readonly ReadonlyMap<string, readonly Effect[]>[];
}

function pairUp<Effect extends StatementEffect>(
  receipts: Receipts,
  candidates: readonly Effect[],
  match: readonly MatchField[],
): Pairs<Effect> {
  const of = new Map<Effect, StatementReceipt[]>();
  const byKey = new Set<Effect>();
  const explained = new Set<StatementReceipt>();
  const pair = (effect: Effect, receipt: StatementReceipt): void => {
    const own = of.get(effect);
    if (own) own.push(receipt);
    else of.set(effect, [receipt]);
    explained.add(receipt);
  };
  for (const effect of candidates) {
    const own = receipts.byKey.get(toKey(effect.wireKey)) ?? [];
    if (own.length > 0) byKey.add(effect);
    for (const receipt of own) pair(effect, receipt);
  }
  const pools = match.map((_, at) => poolsOf(candidates, at));
  pools.forEach((pool, at) => {
    for (const [value, group] of receipts.byReference[at] ?? []) {
      const effects = pool.get(value) ?? [];
      // A key says more than a reference: a receipt under a foreign key is nobody's.
      const open = group.filter((one) => one.idempotencyKey === undefined && !explained.has(one));
      for (const receipt of open) {
        const chosen = choose(effects, receipt, of);
        if (chosen) pair(chosen, receipt);
      }
    }
  });
  return { of, byKey, explained, pools };
}

function poolsOf<Effect extends StatementEffect>(
  candidates: readonly Effect[],
  at: number,
): ReadonlyMap<string, Effect[]> {
  const pool = new Map<string, Effect[]>();
  for (const effect of candidates) {
    const value = effect.references[at];
    if (value !== null && value !== undefined) push(pool, value, effect);
  }
  return pool;
}

/** The likeliest of the effects with one reference: without a receipt yet, with the same amount, sent. */
function choose<Effect extends StatementEffect>(
  effects: readonly Effect[],
  receipt: StatementReceipt,
  taken: ReadonlyMap<Effect, readonly StatementReceipt[]>,
): Effect | undefined {
  const isTaken = effects.some((effect) => taken.has(effect));
  const cost = (effect: Effect): number => {
    const again = taken.has(effect) ? 100 : 0;
    // What was never sent is no explanation while something else is.
    const unsent = isTaken && effect.sends === 0 ? 200 : 0;
    const amount = hasAmount(effect, receipt) && !isSameAmount(effect, receipt) ? 1 : 0;
    return again + unsent + rank(effect) * 10 + amount;
  };
  let best: Effect | undefined;
  for (const effect of effects) if (!best || cost(effect) < cost(best)) best = effect;
  return best;
}

function rank({ status, sameAs, isOnWire, sends }: StatementEffect): number {
  if (sameAs !== null) return 6;
  if (status === 'applied') return 0;
  if (status === 'in_doubt') return 1;
  if (status === 'dispatched') return isOnWire ? 3 : 2;
  if (status === 'refused') return sends > 0 ? 4 : 5;
  return 5;
}

function* unexplained<Effect extends StatementEffect>(
  receipts: Receipts,
  { explained, pools }: Pairs<Effect>,
  match: readonly MatchField[],
  { fromMs, toMs }: StatementPeriod,
): Generator<StatementFinding<Effect>> {
  for (const receipt of receipts.all) {
    const { atMs = fromMs } = receipt;
    if (explained.has(receipt) || atMs < fromMs || atMs > toMs) continue;
    const [similar] = match.flatMap((field, at) => pools[at]?.get(receipt[field] ?? '') ?? []);
    const resembles = similar && { resembles: similar.effect };
    yield { kind: 'unknown-to-ledger', receipts: [receipt], ...resembles };
  }
}

function* judge<Effect extends StatementEffect>(
  effect: Effect,
  receipts: readonly StatementReceipt[],
  isByKey: boolean,
): Generator<StatementFinding<Effect>> {
  const [first] = receipts;
  // Its outcome is another effect's: a receipt under its own key is a second one for the same intention.
  const isTwice = receipts.length > 1 || (effect.sameAs !== null && isByKey);
  if (isTwice) yield { kind: 'duplicate', effect, receipts };
  const kind = effect.sameAs === null ? kindOf(effect) : undefined;
  if (kind) yield { kind, effect, receipts };
  const differs = first && hasAmount(effect, first) && !isSameAmount(effect, first);
  if (differs) yield { kind: 'amount-differs', effect, receipts: [first] };
}

function kindOf({ status, isOnWire }: StatementEffect): FindingKind | undefined {
  if (status === 'in_doubt') return 'doubt-answered';
  if (status === 'dispatched') return isOnWire ? undefined : 'doubt-answered';
  if (status === 'refused') return 'refused-but-done';
  // Permission to send is committed before a send: this ledger is older than its own deeds.
  return status === 'intended' ? 'unsent-but-done' : undefined;
}

function nameAmounts(effect: StatementEffect, receipts: readonly StatementReceipt[]): boolean {
  return receipts[0] !== undefined && hasAmount(effect, receipts[0]);
}

function hasAmount(effect: StatementEffect, { amountMinor }: StatementReceipt): boolean {
  return effect.amountMinor !== null && amountMinor !== undefined;
}

function isSameAmount(
  effect: StatementEffect,
  { amountMinor, currency }: StatementReceipt,
): boolean {
  if (effect.amountMinor !== amountMinor) return false;
  if (currency === undefined || effect.currency === null) return true;
  return effect.currency.toUpperCase() === currency.toUpperCase();
}

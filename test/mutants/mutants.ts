// The safety mutants: each takes one protection away, and names the tests that must notice. Data only.

export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly put: string;
  /** Test files, the quickest that notices first. */
  readonly tests: readonly string[];
}

const FOLD = 'test/unit/effect-fold.test.ts';
const MOVE = 'test/unit/next-move.test.ts';
const LEDGER = 'test/contract/postgres-effect-ledger.test.ts';
const ENGINE = 'test/contract/effect-engine.test.ts';
const TOOLS = 'test/contract/effect-engine-tools.test.ts';
const MODES = 'test/contract/effect-engine-modes.test.ts';
const LATE = 'test/contract/effect-engine-late.test.ts';
const STORED = 'test/contract/effect-engine-stored.test.ts';
const CONCLUSIONS = 'test/contract/conclusions.test.ts';
const LOOK_UPS = 'test/contract/look-ups.test.ts';
const UNSENT = 'test/contract/effect-engine-unsent.test.ts';
const DOUBTS = 'test/workflow/doubts.test.ts';
const TRANSACTIONS = 'test/contract/transactional.test.ts';

const RULES = 'domain/rules';
const EFFECTS = 'activities/effects';
const STORE = 'activities/ledger';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'send before the permission is committed',
    file: `${EFFECTS}/effect-fetch.ts`,
    find: 'const stored = await ask(frozen);',
    put: 'const stored = frozen; void ask(frozen).catch(() => undefined);',
    tests: [ENGINE],
  },
  {
    name: 'drop the fence: an older attempt may claim after a newer one',
    file: `${RULES}/permit.ts`,
    find: "if (view.claimOrder > claim.order) return 'a later attempt has claimed it';",
    put: '',
    tests: [LEDGER],
  },
  {
    name: 'drop the lease: two attempts of one moment may both claim',
    file: `${RULES}/permit.ts`,
    find: "if (view.claimOrder === claim.order && isOthers && isLive) return 'another attempt is at work';",
    put: '',
    tests: [LEDGER],
  },
  {
    name: 'a permit raises no fence',
    file: `${RULES}/permit.ts`,
    find: 'fence: held.fence + 1',
    put: 'fence: held.fence',
    tests: [LEDGER],
  },
  {
    name: 'a pause is not asked at the send',
    file: `${RULES}/permit.ts`,
    find: "return control.paused ? 'paused' : undefined;",
    put: 'return undefined;',
    tests: [LEDGER],
  },
  {
    name: 'a cancelled run still sends',
    file: `${RULES}/permit.ts`,
    find: "    return 'cancelled';\n",
    put: '',
    tests: [LEDGER],
  },
  {
    name: 'the same intention with other arguments passes',
    file: `${RULES}/permit.ts`,
    find: ": { kind: 'other-arguments', by };",
    put: ": { kind: 'free' };",
    tests: [LEDGER],
  },
  {
    name: 'an identity in doubt blocks nobody',
    file: `${RULES}/permit.ts`,
    find: "if (state.status !== 'applied') return { kind: 'blocked', by, status: state.status };",
    put: "if (state.status !== 'applied') return { kind: 'free' };",
    tests: [LEDGER],
  },
  {
    name: 'an identity is not taken by the dispatch',
    file: `${STORE}/permit-effect.ts`,
    find: '(record.identityHash !== null && !ignoresIdentity)',
    put: 'false',
    tests: [LEDGER],
  },
  {
    name: 'what was seen is believed, whatever has happened since',
    file: `${STORE}/store-facts.ts`,
    find: 'and xmin = ${$(seen.version)}::xid',
    put: 'and ${$(seen.version)}::text is not null',
    tests: [LEDGER],
  },
  {
    name: 'a pause behind the look does not stop the permit',
    file: `${STORE}/store-facts.ts`,
    find: "asksControl ? 'and not exists (select 1 from control where stops)' : ''",
    put: "asksControl ? 'and not exists (select 1 from control where false)' : ''",
    tests: [LEDGER],
  },
  {
    name: 'a permit without a look asks an older ledger, too',
    file: `${STORE}/store-facts.ts`,
    find: "`and ${heldSeq('effects')} >= ${$(seqSeen)}`",
    put: '`and ${$(seqSeen)}::bigint is not null`',
    tests: [LEDGER],
  },
  {
    name: 'without a look, what a tool makes of it before it writes is believed',
    file: `${EFFECTS}/effect-engine.ts`,
    find: "unlooked?.answer.kind === 'observed'",
    put: 'unlooked',
    tests: [STORED],
  },
  {
    name: 'what a tool said of an effect outlives a change of it',
    file: `${EFFECTS}/send-unlooked.ts`,
    find: 'return record.version === version && record.fence === fence ? unlooked.answer : undefined;',
    put: 'void [record, version, fence]; return unlooked.answer;',
    tests: [STORED],
  },
  {
    name: 'one call more than the limit',
    file: `${STORE}/permit-effect.ts`,
    find: '(rows[0]?.used ?? 0) >= max',
    put: '(rows[0]?.used ?? 0) > max',
    tests: [LEDGER],
  },
  {
    name: 'a later attempt sends its own bytes, not the stored ones',
    file: `${EFFECTS}/effect-fetch.ts`,
    find: 'return send(options, state, thaw(stored, own), signal);',
    put: 'return send(options, state, thaw(frozen, own), signal);',
    tests: [TOOLS, ENGINE],
  },
  {
    name: 'the key comes from the attempt',
    file: `${EFFECTS}/attempt-send.ts`,
    find: 'idempotencyKey: record.wireKey,',
    put: 'idempotencyKey: `${record.wireKey}-${claim.attempt}`,',
    tests: [TOOLS, ENGINE],
  },
  {
    name: 'resend past the horizon of the key',
    file: `${RULES}/next-move.ts`,
    find: 'return nowMs < view.firstSentAtMs + view.keyRetentionMs * RETENTION_SHARE;',
    put: 'return true;',
    tests: [MOVE],
  },
  {
    name: 'resend what has neither key nor probe',
    file: `${RULES}/next-move.ts`,
    find: 'function afterDispatch(view: EffectView, nowMs: number): Move {',
    put: "function afterDispatch(view: EffectView, nowMs: number): Move {\n  if (view.contract === 'once') return { kind: 'resend' };",
    tests: [MOVE],
  },
  {
    name: 'conclude from silence before the lease ends',
    file: `${RULES}/next-move.ts`,
    find: "if (nowMs < leaseUntilMs) return { kind: 'wait', untilMs: leaseUntilMs };",
    put: '',
    tests: [MOVE],
  },
  {
    name: 'one absent is enough',
    file: `${RULES}/next-move.ts`,
    find: 'export const ABSENTS_NEEDED = 2;',
    put: 'export const ABSENTS_NEEDED = 1;',
    tests: [MOVE],
  },
  {
    name: 'no settle window behind the lease',
    file: `${RULES}/next-move.ts`,
    find: "if (nowMs < settledAtMs) return { kind: 'wait', untilMs: settledAtMs };",
    put: '',
    tests: [MOVE],
  },
  {
    name: 'send again what the receiver has accepted',
    file: `${RULES}/next-move.ts`,
    find: 'if (view.state.isPending) return whilePending(view, nowMs);',
    put: '',
    tests: [MOVE],
  },
  {
    name: 'refuse a late fact: a doubt stays a doubt',
    file: `${RULES}/effect.ts`,
    find: "    case 'applied':\n      return {",
    put: "    case 'applied':\n      if (state.status === 'in_doubt') return state;\n      return {",
    tests: [FOLD],
  },
  {
    name: 'a refusal takes back what was told as applied',
    file: `${RULES}/effect.ts`,
    find: "if (state.status === 'applied') return { ...state, conflict: !endsConflict(state, fact) };",
    put: '',
    tests: [FOLD],
  },
  {
    name: 'a contradiction is not noticed',
    file: `${RULES}/effect.ts`,
    find: '(state.conflict || wasRefused(state))',
    put: 'state.conflict',
    tests: [FOLD],
  },
  {
    name: 'the refusal of a send before the last permit ends the effect',
    file: `${RULES}/observe.ts`,
    find: 'return isOutdated(state, entry, last) ? state : foldFact(state, entry.fact);',
    put: 'return foldFact(state, entry.fact);',
    tests: ['test/unit/observe.test.ts'],
  },
  {
    name: 'an ambiguous answer is "not sent"',
    file: `${EFFECTS}/read-outcome.ts`,
    find: "return { kind: 'ambiguous', reason, ...(isAtWork ? { isAtWork } : {}) };",
    put: "return { kind: 'not_sent', reason };",
    tests: [MODES],
  },
  {
    name: '409 in flight is a no',
    file: 'domain/schemas/http-effect.ts',
    find: 'const REFUSALS = [400, ',
    put: 'const REFUSALS = [409, 400, ',
    tests: ['test/unit/http-effect.test.ts'],
  },
  {
    name: 'a server error is a no',
    file: 'domain/schemas/http-effect.ts',
    find: 'const REFUSALS = [400, ',
    put: 'const REFUSALS = [500, 502, 503, 400, ',
    tests: ['test/unit/http-effect.test.ts'],
  },
  {
    name: 'an answer from the door settles the send before it',
    file: `${EFFECTS}/read-outcome.ts`,
    find: '!(state.isResend && ANSWERED_AT_THE_DOOR.has(state.status ?? 0))',
    put: 'true',
    tests: [LATE],
  },
  {
    name: 'two writes in one effect',
    file: `${EFFECTS}/effect-fetch.ts`,
    find: 'if (writing) {',
    put: 'if (writing && false) {',
    tests: [TOOLS],
  },
  {
    name: 'redirects are followed',
    file: `${EFFECTS}/wire.ts`,
    find: "redirect: 'error'",
    put: "redirect: 'follow'",
    tests: ['test/unit/wire.test.ts'],
  },
  {
    name: 'a ledger that has lost time is trusted',
    file: `${EFFECTS}/effect-engine.ts`,
    find: 'if (!begin || begin.seq < job.seqSeen) {',
    put: 'if (!begin) {',
    tests: [ENGINE],
  },
  {
    name: 'other arguments under the same step are not noticed',
    file: `${EFFECTS}/effect-engine.ts`,
    find: 'return fingerprint === intent.fingerprint || fingerprint === olderFingerprint;',
    put: 'return fingerprint !== "" || fingerprint === intent.fingerprint || fingerprint === olderFingerprint;',
    tests: [ENGINE, TOOLS],
  },
  {
    name: 'delete the outcome on error: what the ledger could not take is lost',
    file: `${EFFECTS}/effect-outcomes.ts`,
    find: 'if (!entries.some(({ fact }) => isWorthCarrying(fact.kind)))',
    put: 'if (entries.length > 0)',
    tests: [ENGINE],
  },
  {
    name: 'an approval fits whatever the arguments have become',
    file: `${EFFECTS}/gate.ts`,
    find: 'if (decision.fingerprint !== record.fingerprint) return null;',
    put: '',
    tests: ['test/unit/gate.test.ts'],
  },
  {
    name: 'a refused transactional effect keeps its rows',
    file: `${STORE}/tool-transaction.ts`,
    find: "end.keepsRows ? 'release' : 'rollback to'",
    put: "'release'",
    tests: [TRANSACTIONS],
  },
  {
    name: 'a lost answer to the commit is taken for a failure of the tool',
    file: `${STORE}/database.ts`,
    find: 'throw isConnectionError(error) ? new LedgerUnavailable(error) : error;',
    put: 'throw error;',
    tests: [TRANSACTIONS],
  },
  {
    name: 'the reconciler puts in doubt what a live run is about to resend',
    file: `${EFFECTS}/reconcile.ts`,
    find: "return (await isOwned(record)) ? 'left' : concludeOrphan(deps, record);",
    put: 'return concludeOrphan(deps, record);',
    tests: ['test/contract/reconcile-sweeps.test.ts'],
  },
  {
    name: 'what was concluded from an effect outlives a change of it',
    file: `${STORE}/append-facts.ts`,
    find: 'before?.version === seen.version ?',
    put: 'before ?',
    tests: [LEDGER],
  },
  {
    name: 'an attempt doubts what has been heard of since it looked',
    file: `${EFFECTS}/effect-engine.ts`,
    find: 'await ledger.conclude(seen, [',
    put: 'await ledger.append(seen.tenant, seen.id, [',
    tests: [CONCLUSIONS],
  },
  {
    name: 'the reconciler doubts what has been heard of since it looked',
    file: `${EFFECTS}/reconcile.ts`,
    find: 'await deps.ledger.conclude(record, [',
    put: 'await deps.ledger.append(record.tenant, record.id, [',
    tests: [CONCLUSIONS],
  },
  {
    name: 'two that ask the receiver at once count as two looks',
    file: `${EFFECTS}/probe.ts`,
    find: 'else await deps.ledger.conclude(record, entries);',
    put: 'else await deps.ledger.append(record.tenant, record.id, entries);',
    tests: [CONCLUSIONS],
  },
  {
    name: 'an attempt behind which a later one has claimed runs its tool, and is heard',
    file: `${EFFECTS}/effect-engine.ts`,
    find: 'if (reason !== undefined) return standBack(deps, job, record, reason);',
    put: 'void reason;',
    tests: [CONCLUSIONS],
  },
  {
    name: 'the outcome of another effect is adopted whatever has happened since',
    file: `${EFFECTS}/effect-engine.ts`,
    find: 'return conclude(deps, job, record, { fact, details: { sameAs: gate.by } });',
    put: 'return recorded(await append(deps, job, [{ fact, details: { sameAs: gate.by } }]));',
    tests: [CONCLUSIONS],
  },
  {
    name: 'a look-up that fails once is a doubt',
    file: `${EFFECTS}/probe.ts`,
    find: 'if (failingMs >= LOOK_PATIENCE_MS) {',
    put: 'if (failingMs >= 0) {',
    tests: [LOOK_UPS],
  },
  {
    name: 'what a look-up makes of a 503 is the word of the receiver',
    file: `${EFFECTS}/probe.ts`,
    find: 'if (why !== undefined) return failed(why);',
    put: 'void why;',
    tests: [LOOK_UPS],
  },
  {
    name: 'what never left counts as a send',
    file: `${EFFECTS}/effect-engine.ts`,
    find: '(claim.triedForMs ?? 0) >= tool.unsentForMs',
    put: 'claim.attempt >= tool.sendsMax',
    tests: [UNSENT],
  },
  {
    name: 'a settlement wakes everything that waits',
    file: 'workflows/settle-step.ts',
    find: "effect !== undefined && patched('pawl.wakes-one')",
    put: "effect !== undefined && patched('pawl.wakes-one') && effect === ''",
    tests: [DOUBTS],
  },
  {
    name: 'what became definite is not marked for the workflow that waits',
    file: `${STORE}/store-facts.ts`,
    find: "? [...failing, 'wake_due = true'] : failing",
    put: '? failing : failing',
    tests: [DOUBTS],
  },
  {
    name: 'the doubt of a send before the last permit is one of the last',
    file: `${RULES}/observe.ts`,
    find: "if (fact.kind === 'doubted') return sends > 1;",
    put: '',
    tests: ['test/unit/observe.test.ts'],
  },
];

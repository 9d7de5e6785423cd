// `audit verify`: recomputes every run's hash chain, its commitments, the fold of its facts and its decisions' bindings; the
// seals of rows are in audit-seals.
import { createHash } from 'node:crypto';
import { LOCKED_TEXT } from '../activities/encryption/encryption.ts';
import { type EffectState, INTENDED } from '../domain/rules/effect.ts';
import { type FactEntry, type Observed, observe } from '../domain/rules/observe.ts';
import { toBinding } from './approval-views.ts';
import { verifyOutputs, verifyReferences, verifySeals } from './audit-seals.ts';
import type { ClientContext } from './context.ts';
import { findProcess } from './erase-run.ts';
import { resolveRunKey } from './ids.ts';

/** Something that is not as Pawl wrote it. */
export interface AuditProblem {
  readonly runKey: string;
  /** `transcript 3`, `ef_…` or `ap_…`. */
  readonly where: string;
  readonly what: string;
}

export interface AuditReport {
  /** No problem was found. */
  readonly isIntact: boolean;
  readonly runs: number;
  readonly entries: number;
  readonly effects: number;
  /** Rows compared with their seals: of effects, facts, requests, calls, model steps, approvals, decisions and what came late. */
  readonly rows: number;
  /** Bodies of transcripts compared with their commitments. */
  readonly bodies: number;
  /** Entries of erased runs, whose bodies are gone as they should. */
  readonly erased: number;
  /** Bodies that could not be compared, because no keys are configured here. */
  readonly locked: number;
  readonly problems: readonly AuditProblem[];
}

export interface AuditOptions {
  /** @default every run of the tenant */
  readonly run?: string | undefined;
  readonly onProgress?: ((runs: number) => void) | undefined;
}

/** Counts while it looks. */
interface Tally {
  runs: number;
  entries: number;
  effects: number;
  rows: number;
  bodies: number;
  erased: number;
  locked: number;
  readonly problems: AuditProblem[];
}

const PAGE = 100;

/** See PawlClient.verifyAudit. */
export async function verifyAudit(
  context: ClientContext,
  { run, onProgress }: AuditOptions = {},
): Promise<AuditReport> {
  const only = run === undefined ? null : await resolveAudited(context, run);
  const problems: AuditProblem[] = [];
  const tally: Tally = {
    runs: 0,
    entries: 0,
    effects: 0,
    rows: 0,
    bodies: 0,
    erased: 0,
    locked: 0,
    problems,
  };
  let after = '';
  for (;;) {
    const page = await listAudited(context, only, after);
    for (const audited of page) {
      await verifyRun(context, audited, tally);
      tally.runs += 1;
      onProgress?.(tally.runs);
    }
    after = page.at(-1)?.runKey ?? after;
    if (page.length < PAGE) break;
  }
  return { isIntact: problems.length === 0, ...tally };
}

/** In one snapshot: a live run writes while it is looked at. */
function verifyRun(context: ClientContext, audited: Audited, tally: Tally): Promise<void> {
  return context.database.transaction(async (query) => {
    await query('set transaction isolation level repeatable read, read only');
    const snapshot = { ...context, database: { ...context.database, query } };
    const report = (where: string, what: string): void =>
      void tally.problems.push({ runKey: audited.runKey, where, what });
    await verifyTranscript(snapshot, audited, tally);
    await verifyEffects(snapshot, audited, tally);
    await verifyDecisions(snapshot, audited, tally);
    tally.rows += await verifySeals(snapshot, audited, report);
    await verifyReferences(snapshot, audited, report);
    await verifyOutputs(snapshot, audited, report);
  });
}

async function resolveAudited(context: ClientContext, typed: string): Promise<string> {
  return (await findProcess(context, typed))?.runKey ?? resolveRunKey(context, typed);
}

interface Audited {
  readonly runKey: string;
  readonly turn: number;
  readonly isErased: boolean;
}

function listAudited(
  { database, tenant }: ClientContext,
  only: string | null,
  after: string,
): Promise<Audited[]> {
  return database.query<Audited>(
    `select k.run_key as "runKey", coalesce(r.turn, 0) as turn, exists (
         select 1 from pawl.erasures x where x.tenant = $1 and x.run_key = k.run_key) as "isErased"
     from (
       select run_key from pawl.runs where tenant = $1
       union
       select run_key from pawl.effects where tenant = $1
       union
       select run_key from pawl.transcript where tenant = $1 and seq = 1) k
     left join pawl.runs r on r.tenant = $1 and r.run_key = k.run_key
     where ($2::text is null or k.run_key = $2) and k.run_key > $3
     order by k.run_key limit ${PAGE}`,
    [tenant, only, after],
  );
}

interface ChainRow {
  readonly seq: number;
  readonly turn: number;
  readonly parentHash: string;
  readonly commitment: string;
  readonly hash: string;
  readonly role: string;
  readonly source: string;
  readonly salt: Buffer | null;
  readonly parts: string | null;
}

/** A transcript is read in pieces: one of 10 MB is not held at once. */
const ENTRIES = 200;
const GENESIS_HASH = '0'.repeat(64);

async function verifyTranscript(
  context: ClientContext,
  audited: Audited,
  tally: Tally,
): Promise<void> {
  const { runKey, turn, isErased } = audited;
  const report = (where: string, what: string): number =>
    tally.problems.push({ runKey, where, what });
  let last = { seq: 0, hash: GENESIS_HASH, turn: 0 };
  for (;;) {
    const rows = await readChain(context, runKey, last.seq);
    for (const row of rows) {
      const where = `transcript ${row.seq}`;
      if (row.seq !== last.seq + 1) report(where, `entry ${last.seq + 1} is missing`);
      if (row.parentHash !== last.hash) report(where, 'does not follow the entry before it');
      if (row.hash !== chainHash(row)) report(where, 'its hash is not that of its content');
      const body = judgeBody(row, isErased);
      if (body === 'changed') report(where, 'its body is not the one that was committed to');
      else if (body === 'missing') report(where, 'its body is gone, and the run was not erased');
      else tally[body] += 1;
      last = {
        seq: row.seq,
        hash: row.hash,
        turn: row.role === 'assistant' ? row.turn : last.turn,
      };
    }
    tally.entries += rows.length;
    if (rows.length < ENTRIES) break;
  }
  if (last.turn < turn)
    report(`transcript ${last.seq + 1}`, `the answer of turn ${turn} is missing`);
}

function judgeBody(
  { salt, parts, commitment }: ChainRow,
  isErased: boolean,
): 'bodies' | 'erased' | 'locked' | 'changed' | 'missing' {
  if (salt === null || parts === null) return isErased ? 'erased' : 'missing';
  if (parts === LOCKED_TEXT) return 'locked';
  const committed = createHash('sha256').update(salt).update(parts).digest('hex');
  return committed === commitment ? 'bodies' : 'changed';
}

/** Written down a second time on purpose: a verifier that shares the writer's code shares its mistakes. */
function chainHash({ parentHash, seq, turn, role, source, commitment }: ChainRow): string {
  return createHash('sha256')
    .update(JSON.stringify([parentHash, seq, turn, role, source, commitment]))
    .digest('hex');
}

function readChain(
  { database, tenant }: ClientContext,
  runKey: string,
  after: number,
): Promise<ChainRow[]> {
  return database.query<ChainRow>(
    `select t.seq, t.turn, t.parent_hash as "parentHash", t.commitment, t.hash, t.role, t.source, b.salt, b.parts
     from pawl.transcript t
     left join pawl.transcript_bodies b
       on b.tenant = t.tenant and b.run_key = t.run_key and b.seq = t.seq
     where t.tenant = $1 and t.run_key = $2 and t.seq > $3 order by t.seq limit ${ENTRIES}`,
    [tenant, runKey, after],
  );
}

interface AuditedEffect {
  readonly effect: string;
  readonly id: string;
  readonly status: EffectState['status'];
  readonly sends: number;
  readonly hasConflict: boolean;
  readonly absents: number;
  readonly isPending: boolean;
  readonly code: string | null;
  readonly fence: number;
  readonly sameAs: string | null;
  readonly reference: string | null;
  readonly facts: readonly AuditedFact[];
}

interface AuditedFact {
  readonly ordinal: number;
  readonly kind: string;
  readonly source: string;
  readonly fence: number | null;
  readonly data: Readonly<Record<string, unknown>>;
}

async function verifyEffects(
  { database, tenant }: ClientContext,
  { runKey }: Audited,
  tally: Tally,
): Promise<void> {
  const effects = await database.query<AuditedEffect>(
    `select e.short_id as effect, e.id, e.status, e.sends, e.has_conflict as "hasConflict", e.absents, e.is_pending as "isPending", e.code, e.fence,
       e.same_as as "sameAs", e.receiver_reference as reference,
       coalesce((select jsonb_agg(jsonb_build_object('ordinal', f.ordinal, 'kind', f.kind, 'source', f.source,
           'fence', f.fence, 'data', f.data - array['output', 'reason', 'message', 'evidence']) order by f.ordinal)
         from pawl.effect_facts f where f.tenant = e.tenant and f.effect_id = e.id), '[]') as facts
     from pawl.effects e where e.tenant = $1 and e.run_key = $2 order by e.id`,
    [tenant, runKey],
  );
  tally.effects += effects.length;
  for (const { effect, facts, ...held } of effects) {
    const report = (what: string): number => tally.problems.push({ runKey, where: effect, what });
    const gap = facts.findIndex(({ ordinal }, at) => ordinal !== at + 1);
    if (gap >= 0 || facts.length === 0) report(`fact ${gap < 0 ? 1 : gap + 1} is missing`);
    const folded = fold(facts);
    if (folded === undefined) report('its facts cannot have happened in this order');
    else reportDifferences(folded, held, report);
  }
}

function reportDifferences(
  { state, fence, sameAs, reference }: Folded,
  held: Omit<AuditedEffect, 'effect' | 'facts'>,
  report: (what: string) => void,
): void {
  const pairs: readonly (readonly [what: string, ofFacts: unknown, ofRow: unknown])[] = [
    ['status', state.status, held.status],
    ['number of sends', state.sends, held.sends],
    ['conflict', state.conflict, held.hasConflict],
    ['number of absents', state.absents, held.absents],
    ['pending', state.isPending ?? false, held.isPending],
    ['code', state.code ?? null, held.code],
    ['fence', fence, held.fence],
    ['other effect', sameAs, held.sameAs],
    ['reference', reference, held.reference],
  ];
  for (const [what, ofFacts, ofRow] of pairs) {
    if (ofFacts === ofRow) continue;
    report(`its ${what}: by its facts ${String(ofFacts)}, in its row ${String(ofRow)}`);
  }
}

type Folded = Observed & { readonly fence: number };

/** As the ledger folded them, one by one, each on the fence of the last permit; undefined: they contradict the rules. */
function fold(facts: readonly AuditedFact[]): Folded | undefined {
  let fence = 0;
  let folded: Observed = NOTHING;
  try {
    for (const { kind, source, fence: at, data } of facts) {
      if (kind === 'dispatched') fence = at ?? fence;
      const fact = { ...data, kind, source, output: null, reason: '', message: '' };
      const details = data;
      const entry = {
        fact,
        details,
        ...(at === null ? {} : { fence: at }),
      } as unknown as FactEntry;
      folded = observe({ ...folded, fence, identityHash: null }, [entry], true).after;
    }
    return { ...folded, fence };
  } catch {
    return undefined;
  }
}

const NOTHING: Observed = {
  state: INTENDED,
  output: null,
  outputProblem: null,
  sameAs: null,
  reference: null,
  holdsIdentity: false,
};

interface BoundRow {
  readonly id: string;
  readonly fingerprint: string;
  readonly toolPin: string;
  readonly requirement: string;
  readonly nonce: string;
  readonly binding: string;
}

/** What was decided about must be what was asked. An erased run's questions are gone. */
async function verifyDecisions(
  { database, tenant }: ClientContext,
  { runKey, isErased }: Audited,
  tally: Tally,
): Promise<void> {
  if (isErased) return;
  const rows = await database.query<BoundRow>(
    `select a.id, a.fingerprint, a.tool_pin as "toolPin", a.requirement, a.nonce, d.binding
     from pawl.approvals a
     join pawl.decisions d on d.tenant = a.tenant and d.approval_id = a.id
     where a.tenant = $1 and a.run_key = $2 order by a.id`,
    [tenant, runKey],
  );
  for (const { id, binding, ...shown } of rows) {
    if (binding === toBinding(shown)) continue;
    const what = 'what was decided is not what is asked now';
    tally.problems.push({ runKey, where: id, what });
  }
}

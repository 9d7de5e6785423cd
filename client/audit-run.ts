// `audit verify`: recomputes every run's hash chain, its commitments, the fold of its facts and its decisions' bindings.
import { createHash } from 'node:crypto';
import { LOCKED_TEXT } from '../activities/encryption/encryption.ts';
import { type EffectState, INTENDED } from '../domain/rules/effect.ts';
import { type FactEntry, observe } from '../domain/rules/observe.ts';
import { toBinding } from './approval-views.ts';
import type { ClientContext } from './context.ts';
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
  /** Bodies compared with their commitments. */
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
  const only = run === undefined ? null : await resolveRunKey(context, run);
  const problems: AuditProblem[] = [];
  const tally: Tally = {
    runs: 0,
    entries: 0,
    effects: 0,
    bodies: 0,
    erased: 0,
    locked: 0,
    problems,
  };
  let after = '';
  for (;;) {
    const page = await listAudited(context, only, after);
    for (const audited of page) {
      await verifyTranscript(context, audited, tally);
      await verifyEffects(context, audited, tally);
      await verifyDecisions(context, audited, tally);
      tally.runs += 1;
    }
    onProgress?.(tally.runs);
    after = page.at(-1)?.runKey ?? after;
    if (page.length < PAGE) break;
  }
  return { isIntact: problems.length === 0, ...tally };
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
    `select run_key as "runKey", turn, erased_at is not null as "isErased" from pawl.runs
     where tenant = $1 and ($2::text is null or run_key = $2) and run_key > $3
     order by run_key limit ${PAGE}`,
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
    `select e.short_id as effect, e.id, e.status, e.sends, e.has_conflict as "hasConflict",
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
    const state = fold(facts);
    if (state === undefined) report('its facts cannot have happened in this order');
    else if (state.status !== held.status)
      report(`its facts make it ${state.status}, its row says ${held.status}`);
    else if (state.sends !== held.sends)
      report(`its facts say ${state.sends} sends, its row ${held.sends}`);
    else if (state.conflict !== held.hasConflict)
      report('its row and its facts differ on a conflict');
  }
}

/** As the ledger folded them, one by one, each on the fence of the last permit; undefined: they contradict the rules. */
function fold(facts: readonly AuditedFact[]): EffectState | undefined {
  let fence = 0;
  let state = INTENDED;
  try {
    for (const { kind, source, fence: at, data } of facts) {
      if (kind === 'dispatched') fence = at ?? fence;
      const fact = { ...data, kind, source, output: null, reason: '', message: '' };
      const entry = { fact, ...(at === null ? {} : { fence: at }) } as unknown as FactEntry;
      const before = { ...EMPTY, state, fence };
      state = observe(before, [entry], true).after.state;
    }
    return state;
  } catch {
    return undefined;
  }
}

const EMPTY = {
  output: null,
  outputProblem: null,
  sameAs: null,
  reference: null,
  holdsIdentity: false,
  identityHash: null,
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

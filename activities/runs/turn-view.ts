// All that a model step reads of its run before the model is asked, in one statement, so all of it is of one moment.
import type {
  FinalAnswer,
  ModelStepResult,
  RunUsage,
  UnusedAnswer,
} from '../../domain/rules/run.ts';
import type { Statements } from '../ledger/database.ts';
import type { HeldByLedger } from '../ledger/rolled-back.ts';
import { addedBehind, type AddedRows } from '../transcripts/remembered-context.ts';
import { EMPTY_TRANSCRIPT, type TranscriptHead } from '../transcripts/transcript.ts';
import {
  type AnswerColumns,
  arrivedAnswer,
  type ModelCall,
  toModelCall,
  unusedUsage,
} from './model-answers.ts';
import type { ModelStepInput } from './model-step-input.ts';
import type { RunFlags } from './model-request.ts';
import { type CallView, CALLS } from './previous-calls.ts';

export interface TurnView extends RunFlags {
  /** The answer of this very turn, when it is stored already. */
  readonly stored: ModelStepResult | null;
  /** The run has ended, and not because its workflow was ended in Temporal. */
  readonly isOver: boolean;
  /** This turn's answer when it has arrived, and nobody has judged it. */
  readonly arrived: ModelCall | undefined;
  /** What was paid for this turn and is not used. */
  readonly unused: RunUsage;
  /** What was wrong with the answer before. */
  readonly complaint: Complaint | null;
  /** Undefined: the ledger does not know the run. */
  readonly held: HeldByLedger | undefined;
  readonly head: TranscriptHead;
  /** The calls of the turn before, in order. */
  readonly calls: readonly CallView[];
  /** What was said and is not shown to the model yet, in order; of an answer that has arrived, what it was asked with. */
  readonly messages: readonly MessageView[];
  /** Of the transcript behind the row that was named. */
  readonly since: AddedRows;
}

/** About an answer that was none: what is wrong with it, and, where nothing of it was carried out, why. */
export interface Complaint {
  readonly problem: string;
  readonly why: UnusedAnswer | undefined;
}

type Nullable<T> = { [Name in keyof T]: T[Name] | null };

export interface MessageView {
  readonly id: string;
  readonly text: string;
  readonly author: string;
}

interface Row extends RunFlags, AddedRows, Nullable<AnswerColumns> {
  over: boolean | null;
  unused: RunUsage;
  stored: ModelStepResult | null;
  previous: { kind: string; final: FinalAnswer | null } | null;
  opened: boolean | null;
  turn: number;
  seq: number;
  head_seq: number | null;
  head_hash: string | null;
  calls: CallView[] | null;
  messages: MessageView[] | null;
}

/** `knownSeq`: the last row of the transcript that the caller knows; what came behind it is read, too. */
export async function readTurn(
  statements: Statements,
  { address, runKey }: ModelStepInput,
  knownSeq: number | null = null,
): Promise<TurnView> {
  const { tenant, rootKey, turn, generation } = address;
  const values = [tenant, runKey, turn, generation, rootKey, knownSeq];
  const [row] = await statements.query<Row>(TURN, values, { isPrepared: true });
  if (!row) throw new Error('a look at a turn has one row');
  const { stored, paused, cancelled, ended, requester, known_hash, summary_seq, added } = row;
  return {
    ...{ stored, paused, cancelled, ended, requester },
    arrived: row.answer === null ? undefined : toModelCall(row as AnswerColumns),
    isOver: row.over === true,
    unused: row.unused,
    complaint: complaintAbout(row.previous),
    held: row.opened === null ? undefined : { opened: row.opened, turn: row.turn, seq: row.seq },
    head:
      row.head_seq === null || row.head_hash === null
        ? EMPTY_TRANSCRIPT
        : { seq: row.head_seq, hash: row.head_hash },
    calls: row.calls ?? [],
    messages: row.messages ?? [],
    since: { known_hash, summary_seq, added },
  };
}

function complaintAbout(previous: Row['previous']): Complaint | null {
  if (previous?.kind !== 'answered' || !previous.final || previous.final.isValid) return null;
  const { problem = '', why } = previous.final;
  return { problem, why };
}

const STEP = `pawl.model_steps s
  where s.tenant = $1 and s.run_key = $2 and s.generation = $4 and s.turn =`;

const TURN = `select
    (select s.result from ${STEP} $3::integer) as stored,
    (select json_build_object('kind', s.result->'kind', 'final', s.result->'final')
      from ${STEP} $3::integer - 1) as previous,
    r.finished_at is not null and r.result->>'kind' is distinct from 'terminated' as over,
    c.paused_at is not null as paused, c.cancelled_at is not null as cancelled, c.ended_at is not null as ended,
    coalesce(r.requester, 'unknown') as requester,
    case when r.run_key is not null then r.agent_hash is not null end as opened,
    greatest(r.turn, (r.forked_from->>'turn')::integer - 1) as turn,
    coalesce((select q.seq from pawl.run_seqs q where q.tenant = $1 and q.root_key = $5), 0) as seq,
    t.seq as head_seq, t.hash as head_hash,
    (${CALLS}) as calls, p.*, (${unusedUsage('turn')}) as unused,
    (select json_agg(json_build_object('id', m.id, 'text', m.text, 'author', m.author) order by m.created_at, m.id)
      from pawl.messages m
      where m.tenant = $1 and m.run_key = $2 and m.consumed_turn is null
        and (p.answer_id is null or m.id = any(p.message_ids))) as messages,
    ${addedBehind('$6::integer')}
  from (values (1)) one
  left join pawl.runs r on r.tenant = $1 and r.run_key = $2
  left join pawl.controls c on c.tenant = $1 and c.run_key = $2
  left join lateral (${arrivedAnswer('turn')}) p on true
  left join lateral (
    select x.seq, x.hash from pawl.transcript x
    where x.tenant = $1 and x.run_key = $2 order by x.seq desc limit 1) t on true`;

-- Up Migration

-- Only additions: workers of the build before go on beside those of this one.
-- Answers of models as they arrived, counted in `runs` before anything judges them. An answer that was judged is in
-- `model_steps`, `compactions` and the transcript, and its row is gone; what stays was paid for and is not used.
create table pawl.model_answers (
  tenant text not null,
  run_key text not null,
  turn integer not null,
  generation integer not null,
  -- `turn`: the turn's answer. `compaction`: the summary before it.
  kind text not null check (kind in ('turn', 'compaction')),
  -- Random, made when the answer arrived: a statement whose reply was lost is repeated under it.
  id text not null,
  -- The answer as JSON, in text, which holds what jsonb refuses; null: nobody will judge it.
  answer text,
  -- Why it was paid for and is not used.
  problem text,
  model_requested text not null,
  model_served text not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cached_input_tokens bigint not null,
  cost_micro_usd bigint not null,
  is_priced boolean not null,
  request_id text,
  attempt integer not null,
  duration_ms integer not null,
  -- Of `messages`: what people had said when it was asked for. What they say later, it has not seen.
  message_ids text[] not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, run_key, turn, generation, kind, id)
);

-- With the other bodies of an erased run. As the owner: whoever erases may not write here.
create function pawl.forget_answers() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from pawl.model_answers where tenant = new.tenant and run_key = new.run_key and answer is not null;
  update pawl.model_answers set problem = '' where tenant = new.tenant and run_key = new.run_key and problem <> '';
  return null;
end $$;
revoke all on function pawl.forget_answers() from public;
create trigger forget_answers after update of erased_at on pawl.runs
  for each row when (new.erased_at is not null) execute function pawl.forget_answers();

-- A wait that a model's provider has asked for: until when, and for which model. Over, or ended by a resume, it is null.
alter table pawl.runs add column model_wait jsonb;

do $$
begin
  grant select on pawl.model_answers to pawl_engine, pawl_service;
  grant insert, delete on pawl.model_answers to pawl_engine;
  grant update (answer, problem) on pawl.model_answers to pawl_engine;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

alter table pawl.runs drop column model_wait;
drop trigger forget_answers on pawl.runs;
drop function pawl.forget_answers();
drop table pawl.model_answers;

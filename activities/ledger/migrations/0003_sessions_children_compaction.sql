-- Up Migration

-- Only additions: workers of the build before go on beside those of this one.
alter table pawl.runs
  -- A session waits for its user between turns instead of ending.
  add column is_session boolean not null default false,
  -- The run whose model asked for this one, and where: its call has this run's answer as its result.
  add column parent_run_key text,
  add column parent_turn integer,
  add column parent_generation integer,
  add column parent_call text;
create index runs_parent on pawl.runs (tenant, parent_run_key) where parent_run_key is not null;

-- The user has no more to say: what was said before is still answered.
alter table pawl.controls
  add column ended_at timestamptz,
  add column ended_by text;

-- The run that a call has started.
alter table pawl.calls add column child_run_key text;

-- A recorded and priced step: from here on the model is shown the summary in place of the entries up to `through_seq`.
create table pawl.compactions (
  tenant text not null,
  run_key text not null,
  -- The turn before whose model call it was made.
  turn integer not null,
  generation integer not null,
  through_seq integer not null,
  -- The transcript entry that holds the summary.
  summary_seq integer not null,
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
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, run_key, turn, generation)
);
create trigger append_only before update or delete on pawl.compactions
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.compactions
  for each statement execute function pawl.refuse_change();

do $$
begin
  grant select on pawl.compactions to pawl_engine, pawl_service;
  grant insert on pawl.compactions to pawl_engine;
  -- The empty row of a sub-agent's run: what stands in it is still for people alone to write.
  grant insert (tenant, run_key) on pawl.controls to pawl_engine;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

drop table pawl.compactions;
alter table pawl.calls drop column child_run_key;
alter table pawl.controls drop column ended_at, drop column ended_by;
drop index pawl.runs_parent;
alter table pawl.runs
  drop column is_session, drop column parent_run_key, drop column parent_turn, drop column parent_generation,
  drop column parent_call;

-- Up Migration

-- Only additions: workers of the build before go on beside those of this one.
-- What Temporal asked for and no row backs was refused: one row for each kind of refusal, so that a flood fills nothing.
create table pawl.refusals (
  -- A kind of `activities/runs/backing.ts`.
  what text primary key,
  count bigint not null default 1,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  -- Of the last one: the activity, the workflow that asked, and why it was refused; cut, because strangers choose them.
  activity text not null,
  workflow_id text not null,
  why text not null
);

-- What people asked to undo. The engine may only read it: without a row here, or a fork that says so, nothing of an
-- agent's run is undone.
create table pawl.compensations (
  tenant text not null,
  run_key text not null,
  id text not null,
  -- Short ids (`ef_…`); null: everything that the run has done.
  effects text[],
  asked_by text not null,
  asked_at timestamptz not null default clock_timestamp(),
  primary key (tenant, run_key, id)
);
create trigger append_only before update or delete on pawl.compensations
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.compensations
  for each statement execute function pawl.refuse_change();

-- Which forks there are of a run.
create index runs_forked on pawl.runs (tenant, (forked_from->>'runKey')) where forked_from is not null;

-- The budget of the agent as it was when the run began: what a workflow carries is held against it.
alter table pawl.runs add column budget jsonb;

do $$
begin
  grant select on pawl.refusals, pawl.compensations to pawl_engine, pawl_service;
  grant insert, update on pawl.refusals to pawl_engine;
  grant insert on pawl.compensations to pawl_service;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

drop index pawl.runs_forked;
alter table pawl.runs drop column budget;
drop table pawl.compensations;
drop table pawl.refusals;

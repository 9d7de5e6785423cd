-- Up Migration

-- Only additions: workers of the build before go on beside those of this one.
-- What the sweeps of one task queue did last, for `pawl doctor`.
create table pawl.sweeps (
  task_queue text primary key,
  worker text not null,
  -- The last sweep that came to its end; null: none has.
  ended_at timestamptz,
  report jsonb,
  -- The last one that failed; its words are in the worker's log.
  failed_at timestamptz,
  failure text,
  -- How far the sweeps have compared runs with their workflows: tenant and run key.
  looked_through jsonb
);

-- The wish to start a run again whose workflow has ended: newer than its end, until the engine has opened it again.
alter table pawl.controls
  add column resumed_at timestamptz,
  add column resumed_by text;

-- Runs that may still have a workflow: those that sweeps compare with Temporal.
create index runs_followed on pawl.runs (tenant, run_key)
  where finished_at is null or (result->>'kind' = 'terminated' and erased_at is null);
-- Lists, in pages by key.
create index runs_open on pawl.runs (tenant, created_at, run_key) where finished_at is null;
create index runs_ended on pawl.runs (tenant, (result->>'kind'), created_at, run_key) where finished_at is not null;
create index runs_stuck on pawl.runs (tenant, (coalesce(stuck_cause->>'at', '')), run_key)
  where stuck_cause is not null and finished_at is null;
create index controls_asked on pawl.controls (tenant, run_key)
  where paused_at is not null or cancelled_at is not null;
create index effects_listed on pawl.effects (tenant, created_at, id);
create index effects_intended on pawl.effects (tenant, created_at, id) where status = 'intended';
create index effects_unsure on pawl.effects (tenant, created_at, id) where status = 'in_doubt' or has_conflict;
create index effects_same on pawl.effects (tenant, tool, identity_hash, created_at) where identity_hash is not null;
create index effects_unsettled on pawl.effects (tenant, run_key)
  where status in ('dispatched', 'in_doubt') or has_conflict;

do $$
begin
  grant select on pawl.sweeps to pawl_engine, pawl_service;
  grant insert, update on pawl.sweeps to pawl_engine;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

drop index pawl.effects_unsettled, pawl.effects_same, pawl.effects_unsure, pawl.effects_intended, pawl.effects_listed,
  pawl.controls_asked, pawl.runs_stuck, pawl.runs_ended, pawl.runs_open, pawl.runs_followed;
alter table pawl.controls drop column resumed_at, drop column resumed_by;
drop table pawl.sweeps;

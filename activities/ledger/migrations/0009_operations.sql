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
-- Lists: newest first, in pages by key.
create index runs_listed on pawl.runs (tenant, created_at desc, run_key desc);
create index runs_open on pawl.runs (tenant, created_at desc, run_key desc) where finished_at is null;
create index runs_ended on pawl.runs (tenant, (result->>'kind'), created_at desc, run_key desc)
  where finished_at is not null;
create index runs_stuck on pawl.runs (tenant, (stuck_cause->>'at'), run_key)
  where stuck_cause is not null and finished_at is null;
-- Short ids: by their first letters, or by their last.
create index runs_first_letters on pawl.runs (tenant, lower(run_key) text_pattern_ops);
create index runs_last_letters on pawl.runs (tenant, reverse(lower(run_key)) text_pattern_ops);
create index effects_first_letters on pawl.effects (tenant, lower(short_id) text_pattern_ops);
create index effects_last_letters on pawl.effects (tenant, reverse(lower(short_id)) text_pattern_ops);
create index approvals_first_letters on pawl.approvals (tenant, lower(id) text_pattern_ops);
create index approvals_last_letters on pawl.approvals (tenant, reverse(lower(id)) text_pattern_ops);

do $$
begin
  grant select on pawl.sweeps to pawl_engine, pawl_service;
  grant insert, update on pawl.sweeps to pawl_engine;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

drop index pawl.approvals_last_letters, pawl.approvals_first_letters, pawl.effects_last_letters,
  pawl.effects_first_letters, pawl.runs_last_letters, pawl.runs_first_letters, pawl.runs_stuck, pawl.runs_ended,
  pawl.runs_open, pawl.runs_listed, pawl.runs_followed;
alter table pawl.controls drop column resumed_at, drop column resumed_by;
drop table pawl.sweeps;

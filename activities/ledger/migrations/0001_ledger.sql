-- Up Migration

-- Everything of Pawl lives in its own schema, so that a user's own database can hold it. The tenant leads every key.
create schema if not exists pawl;

-- One row: the secret from which wire keys are derived, so that a ledger restored from a backup derives the same keys.
create table pawl.meta (
  id smallint primary key default 1 check (id = 1),
  key_secret bytea not null
);
insert into pawl.meta (key_secret)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- Agents as data: what a run pinned at its start, under the SHA-256 of its canonical description.
create table pawl.agent_versions (
  tenant text not null,
  hash text not null,
  name text not null,
  description jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, hash)
);

-- What a live worker offers; `pawl tools`, `pawl run` and `pawl doctor` read it.
create table pawl.workers (
  identity text primary key,
  task_queue text not null,
  build_id text not null,
  agents jsonb not null,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp()
);

create table pawl.runs (
  tenant text not null,
  run_key text not null,
  root_key text not null,
  path jsonb not null default '[]',
  agent text not null,
  agent_hash text,
  workflow_id text not null,
  start_key text,
  requester text not null,
  input jsonb not null,
  turn integer not null default 0,
  input_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  cached_input_tokens bigint not null default 0,
  cost_micro_usd bigint not null default 0,
  output jsonb,
  result jsonb,
  stuck_cause jsonb,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  primary key (tenant, run_key)
);
create unique index runs_start_key on pawl.runs (tenant, start_key) where start_key is not null;
create index runs_created on pawl.runs (tenant, created_at desc);

-- What people ask of a run: written by the client, read (and locked) by the engine before every send.
create table pawl.controls (
  tenant text not null,
  run_key text not null,
  paused_at timestamptz,
  paused_by text,
  cancelled_at timestamptz,
  cancelled_by text,
  -- The engine may update only this column: it needs it to take the row's share lock.
  engine_lock smallint,
  primary key (tenant, run_key)
);

-- Steering messages; consumed by the model step that shows them to the model.
create table pawl.messages (
  tenant text not null,
  run_key text not null,
  id text not null,
  author text not null,
  text text not null,
  created_at timestamptz not null default clock_timestamp(),
  consumed_turn integer,
  primary key (tenant, run_key, id)
);

-- The highest ledger sequence of a tree of runs: a lower value than a run has seen means a rolled-back ledger.
create table pawl.run_seqs (
  tenant text not null,
  root_key text not null,
  seq bigint not null,
  primary key (tenant, root_key)
);

-- The transcript: a hash chain over salted commitments; bodies apart, so that they can be erased.
create table pawl.transcript (
  tenant text not null,
  run_key text not null,
  seq integer not null,
  turn integer not null,
  parent_hash text not null,
  commitment text not null,
  hash text not null,
  role text not null check (role in ('user', 'assistant', 'tool')),
  source text not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, run_key, seq)
);
create table pawl.transcript_bodies (
  tenant text not null,
  run_key text not null,
  seq integer not null,
  salt bytea not null,
  -- text, not jsonb: the commitment is over these very bytes, and provider-opaque parts go back verbatim.
  parts text not null,
  primary key (tenant, run_key, seq)
);

-- Model steps: a retry or a reset returns the stored result with no wire request.
create table pawl.model_steps (
  tenant text not null,
  run_key text not null,
  turn integer not null,
  generation integer not null,
  result jsonb not null,
  model_requested text not null,
  model_served text not null,
  stop_reason text not null,
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

-- Tool calls as the model proposed them, with the verdict, and the result where no effect holds it.
create table pawl.calls (
  tenant text not null,
  run_key text not null,
  turn integer not null,
  generation integer not null,
  call text not null,
  tool text not null,
  provider_call_id text not null,
  arguments jsonb not null,
  verdict text not null check (verdict in ('permit', 'approve', 'forbid', 'invalid')),
  rule text not null,
  policy_hash text not null,
  message text,
  summary text not null,
  effect_id text,
  approval_id text,
  ended text,
  result jsonb,
  ended_at timestamptz,
  primary key (tenant, run_key, turn, generation, call)
);

create table pawl.effects (
  tenant text not null,
  -- The JSON array of domain/rules/ids.ts.
  id text not null,
  -- `ef_…`: what people type.
  short_id text not null,
  run_key text not null,
  root_key text not null,
  turn integer not null,
  call text not null,
  generation integer not null,
  -- Who to wake when a human settles it; null when nobody waits.
  workflow_id text,
  tool text not null,
  contract text not null check (contract in ('transactional', 'keyed', 'reconcilable', 'once')),
  wire_key text not null,
  key_retention_ms bigint,
  has_probe boolean not null,
  sends_max integer not null,
  -- SHA-256 of the canonical (RFC 8785) arguments: checked, never part of the key.
  fingerprint text not null,
  arguments jsonb not null,
  summary text not null,
  amount_minor bigint,
  currency text,
  identity_hash text,
  -- At most one live effect holds an identity; it is taken before the first send and released by a refusal.
  holds_identity boolean not null default false,
  -- The effect that had already done this; its outcome is ours.
  same_as text,
  approval_id text,
  status text not null check (status in ('intended', 'dispatched', 'applied', 'refused', 'in_doubt')),
  sends integer not null default 0,
  absents integer not null default 0,
  has_conflict boolean not null default false,
  code text,
  reason text,
  output jsonb,
  output_problem text,
  -- Permits are fenced by these three; facts are not.
  fence bigint not null default 0,
  claim_order bigint not null default 0,
  claimed_by text,
  lease_until timestamptz,
  first_sent_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (tenant, id)
);
create unique index effects_short_id on pawl.effects (tenant, short_id);
create unique index effects_identity on pawl.effects (tenant, tool, identity_hash) where holds_identity;
create index effects_run on pawl.effects (tenant, run_key);
create index effects_open on pawl.effects (lease_until) where status = 'dispatched';
create index effects_doubts on pawl.effects (tenant) where status = 'in_doubt';

-- Append-only: every observation and every decision about an effect.
create table pawl.effect_facts (
  tenant text not null,
  effect_id text not null,
  ordinal integer not null,
  kind text not null,
  source text not null,
  attempt integer,
  fence bigint,
  data jsonb not null default '{}',
  at timestamptz not null default clock_timestamp(),
  primary key (tenant, effect_id, ordinal)
);

-- The frozen bytes of an effect's one write: a later attempt sends exactly these.
create table pawl.effect_requests (
  tenant text not null,
  effect_id text not null,
  method text not null,
  url text not null,
  headers jsonb not null,
  body bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, effect_id)
);

-- What a human is asked; written by the model step.
create table pawl.approvals (
  tenant text not null,
  id text not null,
  run_key text not null,
  workflow_id text not null,
  turn integer not null,
  call text not null,
  effect_id text not null,
  agent text not null,
  tool text not null,
  tool_pin text not null,
  fingerprint text not null,
  arguments jsonb not null,
  summary text not null,
  amount_minor bigint,
  currency text,
  rule text not null,
  requirement text not null,
  policy_hash text not null,
  requester text not null,
  nonce text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (tenant, id)
);
create index approvals_run on pawl.approvals (tenant, run_key);
create index approvals_effect on pawl.approvals (tenant, effect_id);

-- The authority of an approval. The engine may only read it.
create table pawl.decisions (
  tenant text not null,
  approval_id text not null,
  id text not null,
  decision text not null check (decision in ('approve', 'deny')),
  approver text not null,
  reason text,
  -- Hash of what the approver was shown: fingerprint, tool pin, requirement, nonce.
  binding text not null,
  decided_at timestamptz not null default clock_timestamp(),
  primary key (tenant, approval_id),
  foreign key (tenant, approval_id) references pawl.approvals (tenant, id)
);

-- A human's word about an effect in doubt; the engine turns it into a fact. The engine may only read it.
create table pawl.settlements (
  tenant text not null,
  effect_id text not null,
  id text not null,
  outcome text not null check (outcome in ('applied', 'not_applied')),
  output jsonb,
  evidence text not null,
  settled_by text not null,
  settled_at timestamptz not null default clock_timestamp(),
  primary key (tenant, effect_id, id),
  foreign key (tenant, effect_id) references pawl.effects (tenant, id)
);

-- Facts, transcripts and decisions are never changed: not by Pawl, not by a mistake in a console.
create function pawl.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'pawl.% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on pawl.effect_facts
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.effect_facts
  for each statement execute function pawl.refuse_change();
create trigger append_only before update or delete on pawl.transcript
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.transcript
  for each statement execute function pawl.refuse_change();
create trigger append_only before update or delete on pawl.decisions
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.decisions
  for each statement execute function pawl.refuse_change();
create trigger append_only before update or delete on pawl.settlements
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.settlements
  for each statement execute function pawl.refuse_change();
create trigger append_only before update or delete on pawl.effect_requests
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.effect_requests
  for each statement execute function pawl.refuse_change();

-- Two group roles, where the migrating role may make them: `pawl_engine` for workers, `pawl_service` for CLI and HTTP.
do $$
begin
  if not exists (select 1 from pg_roles where rolname = 'pawl_engine') then create role pawl_engine nologin; end if;
  if not exists (select 1 from pg_roles where rolname = 'pawl_service') then create role pawl_service nologin; end if;
exception
  when insufficient_privilege then raise notice 'pawl: no right to create roles; grant pawl_engine and pawl_service by hand';
  when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  grant usage on schema pawl to pawl_engine, pawl_service;
  grant select on all tables in schema pawl to pawl_engine, pawl_service;
  grant insert, update on pawl.runs, pawl.effects, pawl.calls, pawl.run_seqs, pawl.workers to pawl_engine;
  grant insert on pawl.agent_versions, pawl.transcript, pawl.transcript_bodies, pawl.model_steps, pawl.effect_facts,
    pawl.effect_requests, pawl.approvals to pawl_engine;
  grant delete on pawl.workers to pawl_engine;
  grant update (consumed_turn) on pawl.messages to pawl_engine;
  grant update (engine_lock) on pawl.controls to pawl_engine;
  grant insert on pawl.runs, pawl.controls, pawl.messages, pawl.decisions, pawl.settlements to pawl_service;
  grant update on pawl.controls to pawl_service;
  revoke all on pawl.meta from pawl_service;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

drop schema pawl cascade;

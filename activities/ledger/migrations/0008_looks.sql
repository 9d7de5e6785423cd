-- Up Migration

-- Only additions: workers of the build before go on beside those of this one.
alter table pawl.effects
  -- How long after the lease a send may still become visible to the probe; null: 2 s.
  add column settle_ms bigint,
  -- Since when every look-up has failed; null: the last one got an answer.
  add column probe_failing_since timestamptz,
  -- When a sweep last began to ask about it: written before the look, so that a look that kills its worker waits its turn.
  add column looked_at timestamptz,
  -- It was settled while its workflow waits for that: cleared once the workflow has been signalled.
  add column wake_due boolean not null default false;
create index effects_wake_due on pawl.effects (tenant, id) where wake_due;
-- Those that wait for another effect of their identity.
create index effects_same_intention on pawl.effects (tenant, tool, identity_hash)
  where status = 'intended' and identity_hash is not null;

-- Down Migration

drop index pawl.effects_same_intention, pawl.effects_wake_due;
alter table pawl.effects drop column wake_due, drop column looked_at, drop column probe_failing_since,
  drop column settle_ms;

// What is explored: the contracts with what their receivers offer, in discrete time, and the faults that may strike.
import type { Contract } from '../../domain/rules/contract.ts';
import { RETENTION_SHARE, SETTLE_WINDOW_MS } from '../../domain/rules/next-move.ts';

/** One step of the clock: the settle window is exactly one. */
export const TICK_MS = SETTLE_WINDOW_MS;
export const LEASE_TICKS = 1;
export const SETTLE_TICKS = 1;
/** The receiver's own limit for what it has accepted and not done. */
export const PENDING_TICKS = 2;
/** The last tenth of a key's retention has to hold one attempt and its time on the wire (`defineTool` asserts it). */
export const RETENTION_TICKS = (LEASE_TICKS + SETTLE_TICKS) * 10;
export const HORIZON_TICKS = RETENTION_TICKS * RETENTION_SHARE;
/** Nothing depends on how old a key is in the middle of its life: the clock jumps over it. */
export const IDLE_FROM_TICKS = LEASE_TICKS + SETTLE_TICKS;
export const IDLE_TO_TICKS = HORIZON_TICKS - 1;
/** A moment: every time of the model is relative to it. */
export const NOW_MS = 1_000_000_000;

export const settingNames = [
  'once',
  'reconcilable',
  'keyed',
  'keyed-probe',
  'transactional',
  'identity-same',
  'identity-other',
  'identity-approved',
] as const;
export type SettingName = (typeof settingNames)[number];

export interface Setting {
  readonly name: SettingName;
  readonly contract: Contract;
  readonly hasProbe: boolean;
  readonly keyRetentionMs: number | null;
  readonly sendsMax: number;
  /** Two effects of one identity: with the same arguments, with others, with others and a human's approval of both. */
  readonly identity: 'none' | 'same' | 'other' | 'approved';
  /** How many faults may strike in one history. */
  readonly budget: number;
  /** Lifts the documented limit: a process may freeze between the lease check and the write. */
  readonly mayFreezeBeforeWrite: boolean;
}

export const faultNames = [
  'crash',
  'time-out',
  'activity-reset',
  'duplicate-delivery',
  'terminate',
  'commit-unknown',
  'commit-failed',
  'ledger-down',
  'never-connected',
  'request-lost',
  'answer-lost',
  'sticky-error',
  'refusal',
  'door-refusal',
  'unprocessable',
  'accepted',
  'callback-lost',
  'callback-twice',
  'late-fact',
  'probe-unclear',
  'tool-throws',
  'tool-refuses',
  'tool-returns',
  'tool-commits',
  'pause',
  'cancel',
  'settlement',
] as const;
export type FaultName = (typeof faultNames)[number];

/** How many faults are explored when nobody says: what takes seconds. */
export const modestBudgets: Readonly<Record<SettingName, number>> = {
  once: 2,
  reconcilable: 1,
  keyed: 1,
  'keyed-probe': 0,
  transactional: 3,
  'identity-same': 1,
  'identity-other': 0,
  'identity-approved': 0,
};

/** The setting of a name. @default a modest budget, the documented limit in force */
export function createSetting(
  name: SettingName,
  { budget = modestBudgets[name], mayFreezeBeforeWrite = false } = {},
): Setting {
  const base = {
    name,
    keyRetentionMs: null,
    hasProbe: false,
    sendsMax: 2,
    identity: 'none',
    budget,
    mayFreezeBeforeWrite,
  } as const;
  const keyRetentionMs = RETENTION_TICKS * TICK_MS;
  switch (name) {
    case 'once':
    case 'transactional':
      return { ...base, contract: name };
    case 'reconcilable':
      return { ...base, contract: 'reconcilable', hasProbe: true };
    case 'keyed':
      return { ...base, contract: 'keyed', keyRetentionMs };
    case 'keyed-probe':
      return { ...base, contract: 'keyed', keyRetentionMs, hasProbe: true };
    case 'identity-same':
      return { ...base, contract: 'once', identity: 'same', sendsMax: 1 };
    case 'identity-other':
      return { ...base, contract: 'once', identity: 'other', sendsMax: 1 };
    case 'identity-approved':
      return { ...base, contract: 'once', identity: 'approved', sendsMax: 1 };
  }
}

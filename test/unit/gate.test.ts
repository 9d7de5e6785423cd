// The gate before a first send: who is asked in which order, and what an approval is still worth.
import { describe, expect, it } from '@jest/globals';
import { type Authority, type GateAnswer, passGate } from '../../activities/effects/gate.ts';
import type {
  ApprovalStanding,
  BeginAnswer,
  IdentityStanding,
} from '../../activities/ledger/effect-ledger.ts';
import { toIntendedRecord } from '../../activities/ledger/effect-rows.ts';
import type { PolicyVerdict } from '../../domain/rules/policy.ts';
import { newIntent } from '../../testing/effect-ledger-fixture.ts';

const NOW = 1_000_000;
const record = toIntendedRecord(newIntent({ fingerprint: 'f1' }), 'k', '');
const free: BeginAnswer = {
  record,
  control: { paused: false, cancelled: false },
  identity: { kind: 'free' },
  decision: null,
  seq: 0,
  nowMs: NOW,
};
const approved: ApprovalStanding = {
  id: 'ap_1',
  fingerprint: 'f1',
  toolPin: 'pin',
  requirement: 'any approver',
  expiresAtMs: NOW + 1_000,
  decision: 'approve',
  decidedAtMs: NOW - 1,
  approver: 'ada',
  reason: null,
  isBound: true,
};
const other: IdentityStanding = { kind: 'other-arguments', by: 'ef_first' };

/** An authority whose policy says `verdict`; what it asked for is kept. */
function authorityOf(verdict: PolicyVerdict): Authority & { asked: string[][] } {
  const asked: string[][] = [];
  return {
    asked,
    toolPin: 'pin',
    evaluate: () => Promise.resolve(verdict),
    ask: (_, rule, requirement) => {
      asked.push([rule, requirement]);
      return Promise.resolve({ id: 'ap_new', expiresAtMs: NOW + 5_000 });
    },
  };
}
const permit: PolicyVerdict = { kind: 'permit', rule: 'r1' };
const needs = (requirement?: string): PolicyVerdict => ({
  kind: 'approve',
  rule: 'r2',
  requirement,
});
const waiting = (id: string, expiresAtMs: number): GateAnswer => ({
  kind: 'wait-for-approval',
  outcome: { kind: 'awaiting_approval', approval: { id, expiresAtMs } },
});

describe('the order of the gate', () => {
  it('cancelled, paused and blocked → cancelled counts', async () => {
    const identity: IdentityStanding = { kind: 'blocked', by: 'ef_first', status: 'in_doubt' };
    const all = { ...free, identity, control: { paused: true, cancelled: true } };
    expect(await passGate(all)).toMatchObject({ kind: 'withdraw', code: 'cancelled' });
    const paused = { ...all, control: { paused: true, cancelled: false } };
    expect(await passGate(paused)).toEqual({ kind: 'paused' });
    expect(await passGate({ ...free, identity })).toEqual(identity);
  });

  it('already applied → its outcome, whatever the policy says: nothing is sent', async () => {
    const identity: IdentityStanding = { kind: 'already-applied', by: 'ef_first', output: 1 };
    const authority = authorityOf({ kind: 'forbid', rule: 'r' });
    expect(await passGate({ ...free, identity }, authority)).toEqual(identity);
  });

  it('a plain workflow → no policy, and the identity holds', async () => {
    expect(await passGate(free)).toEqual({
      kind: 'go',
      warrant: { rule: 'pawl:workflow' },
      ignoresIdentity: false,
    });
  });

  it('a policy that cannot be asked → no answer is an error, never a go', async () => {
    const authority = {
      ...authorityOf(permit),
      evaluate: () => Promise.reject(new Error('no policy')),
    };
    await expect(passGate(free, authority)).rejects.toThrow('no policy');
  });
});

describe('an approval', () => {
  it('needed and never asked for → asked for', async () => {
    const authority = authorityOf(needs('finance'));
    expect(await passGate(free, authority)).toEqual(waiting('ap_new', NOW + 5_000));
    expect(authority.asked).toEqual([['r2', 'finance']]);
  });

  it('asked for and open → waited for, not asked again', async () => {
    const decision = { ...approved, requirement: 'finance', decision: null, decidedAtMs: null };
    const authority = authorityOf(needs('finance'));
    expect(await passGate({ ...free, decision }, authority)).toEqual(waiting('ap_1', NOW + 1_000));
    expect(authority.asked).toEqual([]);
  });

  it('open past its expiry → withdrawn: expired', async () => {
    const decision = { ...approved, decision: null, expiresAtMs: NOW };
    expect(await passGate({ ...free, decision }, authorityOf(needs()))).toEqual({
      kind: 'withdraw',
      code: 'expired',
      message: 'nobody decided on ap_1 in time',
    });
  });

  it('given for exactly this → go', async () => {
    expect(await passGate({ ...free, decision: approved }, authorityOf(needs()))).toEqual({
      kind: 'go',
      warrant: { rule: 'r2', approval: 'ap_1' },
      ignoresIdentity: false,
    });
  });

  it.each<[string, Partial<ApprovalStanding>]>([
    ['for other arguments', { fingerprint: 'f2' }],
    ['for another build of the tool', { toolPin: 'old' }],
    ['on another content than was shown', { isBound: false }],
    ['after its expiry', { decidedAtMs: NOW + 1_001 }],
    ['with a weaker requirement', { requirement: 'sales' }],
  ])('given %s → asked again, never sent', async (_name, change) => {
    const authority = authorityOf(needs('finance'));
    const decision = { ...approved, requirement: 'finance', ...change };
    expect(await passGate({ ...free, decision }, authority)).toEqual(
      waiting('ap_new', NOW + 5_000),
    );
  });

  it('given, and the policy forbids it now → a truthful stop', async () => {
    const authority = authorityOf({ kind: 'forbid', rule: 'r3', message: 'sanctioned' });
    expect(await passGate({ ...free, decision: approved }, authority)).toEqual({
      kind: 'withdraw',
      code: 'forbidden',
      message: 'approved, then forbidden by rule r3: sanctioned',
    });
  });

  it('denied → denied, with who and why, even where none is needed any more', async () => {
    const decision = { ...approved, decision: 'deny' as const, reason: 'wrong payee' };
    expect(await passGate({ ...free, decision }, authorityOf(permit))).toEqual({
      kind: 'withdraw',
      code: 'denied',
      message: 'denied by ada: wrong payee',
    });
  });
});

describe('the same intention with other arguments', () => {
  it('a plain workflow → nobody can be asked: withdrawn', async () => {
    expect(await passGate({ ...free, identity: other })).toMatchObject({
      kind: 'withdraw',
      code: 'identity_conflict',
    });
  });

  it('an agent run → a human is asked whether both are meant, even where the policy permits', async () => {
    const authority = authorityOf(permit);
    expect(await passGate({ ...free, identity: other }, authority)).toEqual(
      waiting('ap_new', NOW + 5_000),
    );
    expect(authority.asked).toEqual([['identity:ef_first', 'same-intention']]);
  });

  it('approved as meant → go, beside the holder', async () => {
    const decision = { ...approved, requirement: 'same-intention' };
    expect(await passGate({ ...free, identity: other, decision }, authorityOf(needs()))).toEqual({
      kind: 'go',
      warrant: { rule: 'r2', approval: 'ap_1' },
      ignoresIdentity: true,
    });
  });

  it('a policy with a requirement of its own → each approval is asked for at most once, then it goes', async () => {
    const authority = authorityOf(needs('finance'));
    let decision: ApprovalStanding | null = null;
    for (let round = 0; round < 5; round += 1) {
      const answer = await passGate({ ...free, identity: other, decision }, authority);
      if (answer.kind === 'go') break;
      const [, requirement = ''] = authority.asked.at(-1) ?? [];
      decision = { ...approved, requirement };
    }
    expect(authority.asked).toEqual([
      ['identity:ef_first', 'same-intention'],
      ['r2', 'same-intention finance'],
    ]);
    expect(await passGate({ ...free, identity: other, decision }, authority)).toMatchObject({
      kind: 'go',
      ignoresIdentity: true,
    });
  });
});

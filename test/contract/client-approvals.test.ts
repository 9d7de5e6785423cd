// Approvals through the client, on a real PostgreSQL: what is asked, who may answer, and what a decision is bound to.
import { guarantee } from '../guarantee.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { approvalBinding } from '../../activities/ledger/approval-standing.ts';
import { PawlClient } from '../../client/index.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertApproval,
  insertEffect,
  type InsertedEffect,
  insertRun,
  resultOf,
} from './client-fixtures.ts';

let database: ClientDatabase;
let client: PawlClient;
let runKey: string;
let effect: InsertedEffect;
let id: string;

beforeAll(async () => {
  database = await createClientDatabase();
  // Nobody listens there: the rows must stand all the same.
  client = await PawlClient.connect({ databaseUrl: database.url, temporalAddress: '127.0.0.1:1' });
});
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(async () => {
  runKey = await insertRun(database);
  effect = await insertEffect(database, runKey);
  id = await insertApproval(database, runKey, effect);
});

const decisionRow = async (approval: string) =>
  (await database.query('select * from pawl.decisions where approval_id = $1', [approval]))[0];

describe('deciding', () => {
  it('approve with Temporal down → the row stands, and it is said that nobody was woken', async () => {
    const { decision, wake, approval } = await client.approve(id, {
      approver: 'anna',
      reason: 'checked',
    });
    expect(decision).toMatchObject({ decision: 'approve', approver: 'anna', reason: 'checked' });
    expect(approval.status).toBe('approved');
    expect(wake).toMatchObject({ kind: 'not-delivered', reason: 'temporal-unreachable' });
    expect(await decisionRow(id)).toMatchObject({ id: decision.id, approver: 'anna' });
  });

  it('approve → bound to what the engine computes from the same row', async () => {
    await client.approve(id, { approver: 'anna' });
    const [row] = await database.query(
      'select fingerprint, tool_pin, requirement, nonce from pawl.approvals where id = $1',
      [id],
    );
    const content = [row?.['fingerprint'], row?.['tool_pin'], row?.['requirement'], row?.['nonce']];
    const binding = approvalBinding(content as [string, string, string, string]);
    expect(await decisionRow(id)).toMatchObject({ binding });
  });

  it('deny by the last letters of the id → the row says so', async () => {
    await client.deny(id.slice(-8), { approver: 'anna', reason: 'wrong payee' });
    expect(await decisionRow(id)).toMatchObject({ decision: 'deny', reason: 'wrong payee' });
  });

  it('10 people at once → one decision, nine are told whose', async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => client.approve(id, { approver: `p${index}` })),
    );
    const lost = answers.filter(({ status }) => status === 'rejected');
    expect(lost).toHaveLength(9);
    const winner = String((await decisionRow(id))?.['approver']);
    for (const answer of lost) {
      expect(answer).toMatchObject({
        reason: {
          code: 'Approval.AlreadyDecided',
          message: expect.stringContaining(`approved by ${winner} at`),
        },
      });
    }
  });
});

describe('refusals', () => {
  const refused = async (approval: string, code: string, message: RegExp, options = {}) => {
    const attempt = client.approve(approval, { approver: 'anna', ...options });
    await expect(attempt).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await decisionRow(id)).toBeUndefined();
  };

  it('unknown → Approval.Unknown', () =>
    refused('ap_000000', 'Approval.Unknown', /There is no approval "ap_000000"/));

  it('the requester → Approval.SelfApproval that names the requester and --as', () =>
    refused(id, 'Approval.SelfApproval', /requested by "dev".*--as NAME/, { approver: ' dev ' }));

  guarantee.each('names-compared', [['DEV'], ['ｄｅｖ'], [' Dev']])(
    'the requester written as %j → Approval.SelfApproval',
    (approver) => refused(id, 'Approval.SelfApproval', /requested by "dev"/, { approver }),
  );

  it('nobody → Argument.Invalid', () =>
    refused(id, 'Argument.Invalid', /approver may not be empty/, { approver: ' ' }));

  it('something else than was shown → Approval.Changed', () =>
    refused(id, 'Approval.Changed', /not what was shown/, { binding: 'f'.repeat(64) }));

  it('run finished → Run.Finished', async () => {
    await database.query(
      'update pawl.runs set finished_at = now(), result = $2 where run_key = $1',
      [runKey, JSON.stringify(resultOf('cancelled', 'by request'))],
    );
    await refused(id, 'Run.Finished', /already ended \(cancelled\)/);
  });

  it('effect withdrawn → Approval.Obsolete', async () => {
    await database.query("update pawl.effects set status = 'refused' where id = $1", [effect.id]);
    await refused(id, 'Approval.Obsolete', /no longer needed: ef_\w+ is refused/);
  });

  it('asked anew → the older one is Approval.Obsolete, the newer one is pending', async () => {
    const newer = await insertApproval(database, runKey, effect, { requirement: 'finance cfo' });
    await refused(id, 'Approval.Obsolete', /asked for anew/);
    expect((await client.approvals({ run: runKey })).map((one) => one.id)).toEqual([newer]);
  });

  it('too late → Approval.Expired, and it is not listed', async () => {
    const late = await insertRun(database);
    const expired = await insertApproval(database, late, await insertEffect(database, late), {
      expiresAt: "clock_timestamp() - interval '1 second'",
    });
    await expect(client.approve(expired, { approver: 'anna' })).rejects.toMatchObject({
      code: 'Approval.Expired',
      message: expect.stringContaining('nothing was sent under it'),
    });
    await expect(client.approvals({ run: late })).resolves.toEqual([]);
  });

  it('twice → Approval.AlreadyDecided with who, what and when', async () => {
    await client.deny(id, { approver: 'berta' });
    await expect(client.approve(id, { approver: 'anna' })).rejects.toMatchObject({
      code: 'Approval.AlreadyDecided',
      message: expect.stringMatching(/already denied by berta at \d{4}-/),
    });
  });
});

describe('listing', () => {
  it('pending → complete, with the binding that a decision takes back', async () => {
    const [approval] = await client.approvals({ run: runKey });
    expect(approval).toMatchObject({
      id,
      status: 'pending',
      effect: effect.effect,
      amount: { minor: 2_000, currency: 'EUR' },
      arguments: { invoice: 'INV-7', cents: 2_000 },
      requirement: 'finance',
      requester: 'dev',
      decision: null,
    });
    const binding = approval?.binding;
    await expect(client.approve(id, { approver: 'anna', binding })).resolves.toMatchObject({
      approval: { status: 'approved' },
    });
    await expect(client.approvals({ run: runKey })).resolves.toEqual([]);
  });
});

// An attempt whose predecessor was lost: what is asked of Temporal for it, and that its result neither waits for long nor fails by it.
import type { Context } from '@temporalio/activity';
import { describe, expect, it } from '@jest/globals';
import proto from '@temporalio/proto';
import {
  createLostAttemptsInterceptor,
  isLost,
  type LostAttemptsOptions,
  lastTaker,
} from '../../workers/lost-attempts.ts';

const { DescribeWorkflowExecutionResponse } = proto.temporal.api.workflowservice.v1;
const { History } = proto.temporal.api.history.v1;
const OWN = '7347@host-b5ac77';
const DEAD = '6877@host-928b32';

const silent = { timeoutFailureInfo: { timeoutType: 'TIMEOUT_TYPE_HEARTBEAT' } };
const late = { timeoutFailureInfo: { timeoutType: 'TIMEOUT_TYPE_START_TO_CLOSE' } };
const thrown = { applicationFailureInfo: { type: 'Model.Overloaded' } };
const second = (lastFailure: object) => ({ activityId: '5', attempt: 2, lastFailure });
const descriptionOf = (pendingActivities: object[], more: object = {}) =>
  DescribeWorkflowExecutionResponse.fromObject({ pendingActivities, ...more });
const taken = (eventId: number, identity: string) => ({
  eventId,
  workflowTaskStartedEventAttributes: { identity },
});
const eventsOf = (...events: object[]) => History.fromObject({ events }).events ?? [];

describe('an attempt', () => {
  const attempt = { activityId: '5', attempt: 2 };

  it('the one before it was not heard of any more → lost', () => {
    expect(isLost(attempt, descriptionOf([{ activityId: '4' }, second(silent)]))).toBe(true);
  });

  it.each([
    ['it failed in words', descriptionOf([second(thrown)])],
    ['it was heard of, and over its time', descriptionOf([second(late)])],
    [
      'another activity was',
      descriptionOf([
        { ...second(silent), activityId: '4' },
        { activityId: '5', attempt: 2 },
      ]),
    ],
    [
      'a third attempt has begun: the time-out was this one’s',
      descriptionOf([{ ...second(silent), attempt: 3 }]),
    ],
    [
      'a workflow task waits: its taker would be refused',
      descriptionOf([second(silent)], { pendingWorkflowTask: { attempt: 1 } }),
    ],
    ['it is not there any more', descriptionOf([])],
  ])('%s → not lost', (_what, description) => {
    expect(isLost(attempt, description)).toBe(false);
  });
});

describe('the worker that took the last workflow task', () => {
  it('newest first → the newest', () => {
    expect(lastTaker(eventsOf({ eventId: 9 }, taken(8, '2@b'), taken(3, '1@a')))).toBe('2@b');
  });

  it('none among the last events → unknown', () => {
    expect(lastTaker(eventsOf({ eventId: 90 }))).toBeUndefined();
  });
});

describe('a worker', () => {
  interface Server {
    readonly lastFailure?: object;
    readonly taker?: string;
    /** @default it answers */
    readonly describes?: () => Promise<never>;
  }

  /** The worker's attempts of one activity, what they asked, and what was logged. */
  function workerOf({ lastFailure = silent, taker = DEAD, describes }: Server = {}) {
    const asked: string[] = [];
    const warnings: string[] = [];
    let now = 0;
    const workflowService = {
      describeWorkflowExecution: () => {
        asked.push('describe');
        const found = { ...second(lastFailure), attempt: now };
        return describes?.() ?? Promise.resolve(descriptionOf([found]));
      },
      getWorkflowExecutionHistoryReverse: () => {
        asked.push('history');
        return Promise.resolve({ history: { events: eventsOf(taken(8, taker)) } });
      },
      resetStickyTaskQueue: () => Promise.resolve(void asked.push('reset')),
    };
    const client = {
      workflowService,
      options: { namespace: 'default' },
      withDeadline: (_at: number, work: () => Promise<void>) => work(),
    } as unknown as LostAttemptsOptions['client'];
    const warn = (message: string): void => void warnings.push(message);
    const intercept = createLostAttemptsInterceptor({ client, identity: OWN, warn });
    const run = (attempt: number, work: () => Promise<string>, more: object = {}) => {
      now = attempt;
      const workflowExecution = { workflowId: 'run_1', runId: 'r1' };
      const info = { activityId: '5', attempt, isLocal: false, workflowExecution, ...more };
      const { inbound } = intercept({ info } as Context);
      return inbound?.execute?.({ args: [], headers: {} }, work);
    };
    return { asked, warnings, run };
  }
  const paid = (): Promise<string> => Promise.resolve('paid');
  const fails = (): Promise<never> => Promise.reject(new Error('no'));

  it('the attempt before was lost, another worker took the last workflow task → the workflow leaves its queue', async () => {
    const { asked, run } = workerOf();
    expect(await run(2, paid)).toBe('paid');
    expect(asked).toEqual(['describe', 'history', 'reset']);
  });

  it('took the last workflow task itself: it was only slow → stays', async () => {
    const { asked, run } = workerOf({ taker: OWN });
    expect(await run(2, paid)).toBe('paid');
    expect(asked).toEqual(['describe', 'history']);
  });

  it('the attempt before failed in words elsewhere → one request', async () => {
    const { asked, run } = workerOf({ lastFailure: thrown });
    await run(2, paid);
    expect(asked).toEqual(['describe']);
  });

  it('the attempt before failed in words here → none', async () => {
    const { asked, run } = workerOf();
    await expect(run(1, fails)).rejects.toThrow('no');
    expect(await run(2, paid)).toBe('paid');
    expect(asked).toEqual([]);
  });

  it.each([
    ['a first attempt', 1, {}],
    ['a local activity', 2, { isLocal: true }],
    ['an activity of no workflow', 2, { workflowExecution: undefined }],
  ])('%s → none', async (_what, attempt, more) => {
    const { asked, run } = workerOf();
    expect(await run(attempt, paid, more)).toBe('paid');
    expect(asked).toEqual([]);
  });

  it('Temporal does not answer → the result waits for a second; said', async () => {
    const { run, warnings } = workerOf({ describes: () => new Promise(() => undefined) });
    const startedAtMs = performance.now();
    expect(await run(2, paid)).toBe('paid');
    expect(performance.now() - startedAtMs).toBeGreaterThan(900);
    expect(warnings).toEqual([expect.stringContaining('no answer within 1000 ms')]);
  });

  it('Temporal refuses → the result all the same; said once', async () => {
    const refusal = Object.assign(new Error('7 PERMISSION_DENIED'), { code: 7, details: '' });
    const { run, warnings } = workerOf({
      describes: () => Promise.reject(Object.assign(refusal, { metadata: {} })),
    });
    expect(await run(2, paid)).toBe('paid');
    expect(await run(3, paid)).toBe('paid');
    expect(warnings).toEqual([expect.stringContaining('PERMISSION_DENIED')]);
    expect(warnings[0]).toContain('run_1');
  });

  it('the workflow has ended meanwhile → nothing is said', async () => {
    const gone = Object.assign(new Error('5 NOT_FOUND'), { code: 5, details: '', metadata: {} });
    const { run, warnings } = workerOf({ describes: () => Promise.reject(gone) });
    expect(await run(2, paid)).toBe('paid');
    expect(warnings).toEqual([]);
  });

  it('the attempt fails → its own error', async () => {
    const { asked, run } = workerOf();
    await expect(run(2, fails)).rejects.toThrow('no');
    expect(asked).toEqual(['describe', 'history', 'reset']);
  });
});

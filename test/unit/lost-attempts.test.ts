// Which attempts were lost with their worker, and to whom the workflow sticks: descriptions and events as Temporal gives them.
import { describe, expect, it } from '@jest/globals';
import proto from '@temporalio/proto';
import { isLost, lastTaker } from '../../workers/lost-attempts.ts';

const { DescribeWorkflowExecutionResponse } = proto.temporal.api.workflowservice.v1;
const { History } = proto.temporal.api.history.v1;

const timedOut = { timeoutFailureInfo: { timeoutType: 'TIMEOUT_TYPE_HEARTBEAT' } };
const thrown = { applicationFailureInfo: { type: 'Model.Overloaded' } };
const description = (pendingActivities: object[], more: object = {}) =>
  DescribeWorkflowExecutionResponse.fromObject({ pendingActivities, ...more });

describe('an attempt', () => {
  it('the one before it timed out → lost', () => {
    const activities = [{ activityId: '4' }, { activityId: '5', lastFailure: timedOut }];
    expect(isLost('5', description(activities))).toBe(true);
  });

  it.each([
    ['it failed in words', description([{ activityId: '5', lastFailure: thrown }])],
    [
      'another activity timed out',
      description([{ activityId: '4', lastFailure: timedOut }, { activityId: '5' }]),
    ],
    [
      'a workflow task waits: its time-out would be forgotten',
      description([{ activityId: '5', lastFailure: timedOut }], {
        pendingWorkflowTask: { attempt: 1 },
      }),
    ],
    ['it is not there any more', description([])],
  ])('%s → not lost', (_what, described) => {
    expect(isLost('5', described)).toBe(false);
  });
});

describe('the worker that took the last workflow task', () => {
  const started = (eventId: number, identity: string) => ({
    eventId,
    workflowTaskStartedEventAttributes: { identity },
  });
  const eventsOf = (...events: object[]) => History.fromObject({ events }).events ?? [];

  it('newest first → the newest', () => {
    const events = eventsOf({ eventId: 9 }, started(8, '2@host-b'), started(3, '1@host-a'));
    expect(lastTaker(events)).toBe('2@host-b');
  });

  it('none among the last events → unknown', () => {
    expect(lastTaker(eventsOf({ eventId: 90 }))).toBeUndefined();
  });
});

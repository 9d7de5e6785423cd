// When a workflow is taken off the sticky queue of a worker that fell silent: descriptions and events as Temporal gives them.
import { describe, expect, it } from '@jest/globals';
import proto from '@temporalio/proto';
import { isStuckToSilent } from '../../workers/lost-attempts.ts';

const { DescribeWorkflowExecutionResponse } = proto.temporal.api.workflowservice.v1;
const { History } = proto.temporal.api.history.v1;
const OWN = '7347@host-b5ac77';
const SILENT = '6877@host-928b32';

const timedOut = { timeoutFailureInfo: { timeoutType: 'TIMEOUT_TYPE_HEARTBEAT' } };
const thrown = { applicationFailureInfo: { type: 'Model.Overloaded' } };
const description = (lastFailure: object, more: object = {}) =>
  DescribeWorkflowExecutionResponse.fromObject({
    pendingActivities: [
      { activityId: '4', lastFailure: thrown },
      { activityId: '5', lastFailure },
    ],
    ...more,
  });
const takenBy = (...identities: string[]) =>
  History.fromObject({
    events: identities.map((identity, at) => ({
      eventId: 3 * at + 2,
      workflowTaskStartedEventAttributes: { identity },
    })),
  }).events ?? [];

describe('a workflow whose activity is tried again', () => {
  it('the attempt before timed out and another worker took the last workflow task → taken off its queue', () => {
    expect(isStuckToSilent(OWN, '5', description(timedOut), takenBy(OWN, SILENT))).toBe(true);
  });

  it.each([
    ['it failed in words', description(thrown), takenBy(SILENT)],
    [
      'another activity timed out',
      DescribeWorkflowExecutionResponse.fromObject({
        pendingActivities: [{ activityId: '4', lastFailure: timedOut }, { activityId: '5' }],
      }),
      takenBy(SILENT),
    ],
    [
      'this worker took the last workflow task: it was only slow',
      description(timedOut),
      takenBy(SILENT, OWN),
    ],
    [
      'a workflow task waits on the queue: its time-out would be forgotten',
      description(timedOut, { pendingWorkflowTask: { attempt: 1 } }),
      takenBy(SILENT),
    ],
    ['nobody took a workflow task', description(timedOut), takenBy()],
  ])('%s → left alone', (_what, described, events) => {
    expect(isStuckToSilent(OWN, '5', described, events)).toBe(false);
  });
});

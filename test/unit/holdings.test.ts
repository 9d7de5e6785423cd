// What a dead worker held, over descriptions and events as Temporal 1.29.1 gives them; and the token that is built for it.
import { describe, expect, it } from '@jest/globals';
import proto from '@temporalio/proto';
import { activitiesOf, stickyQueueOf, taskOf } from '../../workers/supervisor/holdings.ts';
import { workflowTaskToken } from '../../workers/supervisor/task-token.ts';

const { DescribeWorkflowExecutionResponse } = proto.temporal.api.workflowservice.v1;
const { History } = proto.temporal.api.history.v1;
const DEAD = '6877@host-928b32';
const OTHER = '7347@host-b5ac77';
const STICKY = `${DEAD}-0123456789abcdef0123456789abcdef`;

const describeAs = (content: object) => DescribeWorkflowExecutionResponse.fromObject(content);
const eventsOf = (...events: object[]) => History.fromObject({ events }).events ?? [];

const scheduled = (eventId: number, name: string, sticky = true) => ({
  eventId,
  workflowTaskScheduledEventAttributes: {
    taskQueue: {
      name,
      kind: sticky ? 'TASK_QUEUE_KIND_STICKY' : 'TASK_QUEUE_KIND_NORMAL',
      normalName: sticky ? 'pawl' : '',
    },
  },
});
const started = (eventId: number, scheduledEventId: number, identity: string) => ({
  eventId,
  workflowTaskStartedEventAttributes: { scheduledEventId, identity },
});
const task = (state: string, attempt = 1) =>
  describeAs({ pendingWorkflowTask: { state: `PENDING_WORKFLOW_TASK_STATE_${state}`, attempt } });

describe('activities', () => {
  it('started by the dead worker, by another one, waiting, being cancelled → only the first is handed back', () => {
    const activity = (activityId: string, state: string, lastWorkerIdentity: string) => ({
      activityId,
      state: `PENDING_ACTIVITY_STATE_${state}`,
      lastWorkerIdentity,
    });
    const description = describeAs({
      pendingActivities: [
        activity('1', 'STARTED', DEAD),
        activity('2', 'STARTED', OTHER),
        activity('3', 'SCHEDULED', DEAD),
        activity('4', 'CANCEL_REQUESTED', DEAD),
      ],
    });
    expect(activitiesOf(DEAD, description)).toEqual([{ kind: 'activity', activityId: '1' }]);
  });
});

describe('the workflow task', () => {
  const taken = eventsOf(started(15, 14, DEAD), scheduled(14, STICKY), scheduled(8, 'pawl', false));

  it('taken by the dead worker → its event and attempt', () => {
    expect(taskOf(DEAD, task('STARTED'), taken)).toEqual({
      kind: 'taken-task',
      scheduledEventId: 14,
      attempt: 1,
      version: 0,
    });
  });

  it('waiting on the queue that only the dead worker polled → the name of that queue', () => {
    const events = eventsOf(
      scheduled(14, STICKY),
      started(9, 8, DEAD),
      scheduled(8, 'pawl', false),
    );
    expect(taskOf(DEAD, task('SCHEDULED'), events)).toEqual({
      kind: 'waiting-task',
      stickyQueue: STICKY,
    });
  });

  it.each([
    [
      'taken by another worker',
      task('STARTED'),
      eventsOf(started(15, 14, OTHER), scheduled(14, STICKY)),
    ],
    [
      'taken earlier, and since then by another one',
      task('STARTED'),
      eventsOf(scheduled(20, 'pawl', false), started(15, 14, DEAD), scheduled(14, STICKY)),
    ],
    ['a second attempt, whose events are not written', task('STARTED', 2), taken],
    ['waiting on the normal queue', task('SCHEDULED'), eventsOf(scheduled(14, 'pawl', false))],
    [
      'waiting for a living worker',
      task('SCHEDULED'),
      eventsOf(scheduled(14, STICKY.replace(DEAD, OTHER))),
    ],
    ['none', describeAs({}), taken],
    ['its events are further back', task('STARTED'), []],
  ])('%s → nothing is done', (_, description, events) => {
    expect(taskOf(DEAD, description, events)).toBeUndefined();
  });

  it('a worker whose name begins like the dead one → another queue', () => {
    expect(stickyQueueOf(DEAD, eventsOf(scheduled(1, STICKY)))).toBe(STICKY);
    expect(
      stickyQueueOf('6877@host', eventsOf(scheduled(1, STICKY.replace('-928b32', '-x')))),
    ).toBeUndefined();
  });
});

describe('the token of a workflow task', () => {
  it('fields → the bytes that Temporal itself writes', () => {
    const bytes = workflowTaskToken({
      namespaceId: 'ns',
      workflowId: 'run_ä',
      runId: 'r',
      scheduledEventId: 300,
      attempt: 1,
      version: 0,
    });
    expect(Buffer.from(bytes).toString('hex')).toBe(
      '0a026e73' + '120672756e5fc3a4' + '1a0172' + '20ac02' + '2801',
    );
  });
});

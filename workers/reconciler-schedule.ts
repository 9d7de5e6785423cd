// The Temporal Schedule of the reconciler: made once per namespace and task queue, by whichever worker comes first.
import { type Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';

/** Makes the schedule, or leaves the one that is there. */
export async function ensureReconciler(
  client: Client,
  taskQueue: string,
  everyMs: number,
): Promise<void> {
  try {
    await client.schedule.create({
      scheduleId: `pawl-reconciler-${taskQueue}`,
      spec: { intervals: [{ every: everyMs }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '10s' },
      action: {
        type: 'startWorkflow',
        workflowType: 'pawlReconciler',
        workflowId: `pawl-reconciler-${taskQueue}`,
        taskQueue,
        args: [],
        workflowRunTimeout: '5m',
        // Not longer for a worker that dies in one of its two short tasks.
        workflowTaskTimeout: '4s',
      },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}

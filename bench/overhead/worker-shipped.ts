// A worker's process of the bare SDK with nothing set that need not be; prints `ready` when it polls.
import { NativeConnection, Worker } from '@temporalio/worker';
import { readVariable, Variable } from './contenders.ts';
import { createSteps } from './steps.ts';
import { createShippedActivities } from './worker-activities.ts';

const connection = await NativeConnection.connect({ address: readVariable('TEMPORAL_ADDRESS') });
const worker = await Worker.create({
  connection,
  taskQueue: readVariable(Variable.TaskQueue),
  activities: { ...createShippedActivities(createSteps()) },
  // Bundled beforehand: that changes the start only.
  workflowBundle: { codePath: readVariable(Variable.Bundle) },
});
process.stdout.write('ready\n');
await worker.run();
await connection.close();

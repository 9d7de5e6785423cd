// A worker's process of the bare SDK with the settings of Pawl's worker; prints `ready` when it polls.
import { NativeConnection, Worker } from '@temporalio/worker';
import { WORKER_SETTINGS } from '../../workers/worker-settings.ts';
import { readVariable, Variable } from './contenders.ts';
import { countStatements } from './count-statements.ts';
import { createSteps } from './steps.ts';
import { openTranscriptTable } from './transcript-table.ts';
import { createBareActivities } from './worker-activities.ts';

countStatements();
const transcript = openTranscriptTable();
const connection = await NativeConnection.connect({ address: readVariable('TEMPORAL_ADDRESS') });
const worker = await Worker.create({
  connection,
  taskQueue: readVariable(Variable.TaskQueue),
  activities: { ...createBareActivities(createSteps(), transcript) },
  workflowBundle: { codePath: readVariable(Variable.Bundle) },
  buildId: 'dev',
  ...WORKER_SETTINGS,
});
process.stdout.write('ready\n');
await worker.run();
await transcript.close();
await connection.close();

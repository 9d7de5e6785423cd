// Pawl's worker as a process: its agent loop, the real ledger, a policy that permits; prints `ready` when it polls.
import { createWorker } from 'pawl/workers';
import { payingAgent } from '../paying-agent.ts';
import { readVariable, Variable } from './contenders.ts';
import { countStatements } from './count-statements.ts';
import { NO_SWEEPS_MS } from '../../testing/no-sweeps.ts';

const TURNS_MAX = 100_000;

const local = readVariable(Variable.LocalTool) === 'yes';
countStatements();
const worker = await createWorker({
  agents: [payingAgent(readVariable(Variable.Bank), TURNS_MAX, { local })],
  workflowBundle: { codePath: readVariable(Variable.Bundle) },
  // No sweep in the middle of a measurement.
  reconcileEveryMs: NO_SWEEPS_MS,
});
process.stdout.write('ready\n');
await worker.run();

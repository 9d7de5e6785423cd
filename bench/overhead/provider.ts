// The model provider's process: answers at 0 ms and notes when each turn began; prints `ready` when it listens.
import { openSync, writeSync } from 'node:fs';
import { startModelProvider, toolResults } from '../../devstack/receivers/index.ts';
import type { ModelScript } from '../../devstack/receivers/index.ts';
import { jobOf, modelOfJobs } from '../paying-agent.ts';
import { readVariable, Variable } from './contenders.ts';

const turns = openSync(readVariable(Variable.Turns), 'a');

const script: ModelScript = (request, index) => {
  const atMs = performance.timeOrigin + performance.now();
  const turn = toolResults(request).length + 1;
  writeSync(turns, `${jobOf(request).run} ${turn} ${atMs.toFixed(3)}\n`);
  return modelOfJobs(request, index);
};

const port = Number(readVariable(Variable.Port));
const provider = await startModelProvider({ script, port, remembers: false });
process.once('SIGTERM', () => void provider.close().then(() => process.exit(0)));
process.stdout.write('ready\n');

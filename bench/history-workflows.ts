// The workflows of `npm run bench -- history`: Pawl's own, and the same workload with its transcript in history. Runs in the sandbox.
export * from 'pawl/workflows';
export { shippedRun } from './overhead/workflows.ts';

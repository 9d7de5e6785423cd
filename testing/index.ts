// The package entry `pawl/testing`: what users test their agents and tools with, and what our own tests use.
export * from '../devstack/receivers/index.ts';
export { CrashPoint } from '../activities/effects/crash-points.ts';

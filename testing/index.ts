// The package entry `pawl/testing`: what users test their agents and tools with, and what our own tests use.
export * from '../devstack/receivers/index.ts';
export { CrashPoint } from '../activities/effects/crash-points.ts';
export type { CrashHook } from '../activities/effects/crash-points.ts';
export { crashAt } from './crash-at.ts';
export { effectLedgerContract } from './ledger-contract.ts';
export type { LedgerUnderTest } from './effect-ledger-fixture.ts';
export { ReplayFailedError, replayHistories } from './replay-histories.ts';
export type { ReplayFailure, ReplayOptions } from './replay-histories.ts';
export { saveHistory } from './save-history.ts';
export type { History, SaveHistoryOptions } from './save-history.ts';
export { scriptedModel } from './scripted-model.ts';
export type { Receivers, TestRunOptions } from './test-run-options.ts';
export { findTestServers, stopTestServers } from './test-servers.ts';
export type { TestServers } from './test-servers.ts';
export { until } from './until.ts';
export type { UntilOptions } from './until.ts';
export { withTestRun } from './with-test-run.ts';
export type { StartedTestRun, TestRun } from './with-test-run.ts';

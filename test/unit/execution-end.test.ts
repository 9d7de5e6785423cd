// Which statuses of Temporal are ends: every value of its enum, and whatever a later server may say.
import { describe, expect } from '@jest/globals';
import proto from '@temporalio/proto';
import fc from 'fast-check';
import { EXECUTION_ENDS, standingOf } from '../../domain/rules/execution-end.ts';
import { guarantee } from '../guarantee.ts';

const { WorkflowExecutionStatus } = proto.temporal.api.enums.v1;

/** As the SDK names a value of the enum, for which it spells one otherwise. */
const sdkName = (name: string): string =>
  name.replace('WORKFLOW_EXECUTION_STATUS_', '').replace('CANCELED', 'CANCELLED');

const names = Object.keys(WorkflowExecutionStatus)
  .filter((name) => name.startsWith('WORKFLOW_EXECUTION_STATUS_'))
  .map(sdkName);

const ENDED = ['CANCELLED', 'COMPLETED', 'FAILED', 'TERMINATED', 'TIMED_OUT'];
const OPEN = ['CONTINUED_AS_NEW', 'PAUSED', 'RUNNING', 'UNSPECIFIED'];

describe('the standing of a workflow', () => {
  guarantee(
    'open-is-not-ended',
    'every value of the enum → the five ends, and nothing else',
    () => {
      expect([...names].sort()).toEqual([...ENDED, ...OPEN].sort());
      const ended = names.filter((name) => standingOf(name).kind === 'ended');
      expect(ended.sort()).toEqual(ENDED);
    },
  );

  guarantee('open-is-not-ended', 'any other text → open', () => {
    const others = fc
      .string()
      .filter((text) => !(EXECUTION_ENDS as readonly string[]).includes(text));
    fc.assert(
      fc.property(fc.oneof(others, fc.constant('UNKNOWN')), (text) => {
        expect(standingOf(text)).toEqual({ kind: 'open' });
      }),
    );
  });
});

// The human of the demonstration: asked on a terminal, otherwise approving by itself under another name than the requester's.
import { confirm, isCancel } from '@clack/prompts';
import type { PawlClient } from '../../client/index.ts';
import type { Lines } from './console-lines.ts';

export interface AnswerOptions {
  /** Ask the person at the terminal. */
  readonly asks: boolean;
  readonly signal: AbortSignal;
}

const POLL_MS = 200;
const APPROVER = 'accounting-lead';

/** Answers every approval of the run until it has ended. */
export async function answerApproval(
  client: PawlClient,
  runKey: string,
  lines: Lines,
  { asks, signal }: AnswerOptions,
): Promise<void> {
  while (!signal.aborted) {
    const { run } = await client.show(runKey);
    if (run.isFinished) return;
    const [approval] = await client.approvals({ run: runKey });
    if (!approval) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      continue;
    }
    lines.say(`${approval.summary} waits for a human (rule ${approval.rule})`, 'yellow');
    const answer = asks ? await confirm({ message: `Approve ${approval.summary}?` }) : true;
    if (isCancel(answer)) return;
    const decide = answer ? client.approve.bind(client) : client.deny.bind(client);
    await decide(approval.id, {
      approver: APPROVER,
      reason: asks ? 'asked at the terminal' : '--yes',
    });
    lines.say(`${approval.id} ${answer ? 'approved' : 'denied'} by ${APPROVER}`, 'green');
  }
}

// What has reached a run from outside: handlers that only note and return, so that none is ever left unfinished.
import { CancellationScope, condition, setHandler } from '@temporalio/workflow';
import * as messages from './messages.ts';

export interface Inbox {
  paused: boolean;
  cancelled: boolean;
  /** Rises with every message that may let a waiting run go on. */
  wakes: number;
}

/** Installs the handlers of an agent run. The rows behind the messages decide; a message only wakes. */
export function openInbox(statusOf: () => messages.RunStatusView): Inbox {
  const inbox: Inbox = { paused: false, cancelled: false, wakes: 0 };
  const wake = (): void => {
    inbox.wakes += 1;
  };
  setHandler(messages.decided, wake);
  setHandler(messages.settled, wake);
  setHandler(messages.steered, () => undefined);
  setHandler(messages.paused, () => {
    inbox.paused = true;
    wake();
  });
  setHandler(messages.resumed, () => {
    inbox.paused = false;
    wake();
  });
  setHandler(messages.status, statusOf);
  // An effect is never interrupted, so the request itself is noted: the loop sees it behind the effect.
  CancellationScope.current().cancelRequested.catch(() => {
    inbox.cancelled = true;
    wake();
  });
  return inbox;
}

/** Waits for the next message, at most `timeoutMs`; false when the time is up. */
export function nextWake(inbox: Inbox, timeoutMs: number): Promise<boolean> {
  const { wakes } = inbox;
  return condition(() => inbox.wakes > wakes, Math.max(1, timeoutMs));
}

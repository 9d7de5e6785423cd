// What has reached a run from outside: handlers that only note and return, so that none is ever left unfinished.
import { CancellationScope, condition, setHandler } from '@temporalio/workflow';
import type { RunState } from '../domain/rules/run.ts';
import * as messages from './messages.ts';

export interface Inbox {
  paused: boolean;
  cancelled: boolean;
  /** Rises with every pause, resume and cancel. */
  controls: number;
  /** Approvals and effects that have news: a message may come long before the run waits for it. */
  readonly news: Set<string>;
  /** Something was said since the last model step began to look. */
  isSpokenTo: boolean;
}

/** More ids than a turn can wait for; beyond it the reconciler's next signal brings them again. */
const NEWS_MAX = 1_000;

/** Installs the handlers of an agent run. The rows behind the messages decide; a message only wakes. */
export function openInbox(
  carried: RunState['control'],
  statusOf: () => messages.RunStatusView,
): Inbox {
  // Filled before the handlers are there: what was signalled before the first task is delivered at once.
  const inbox: Inbox = { ...carried, controls: 0, news: new Set(), isSpokenTo: false };
  // Anybody who can reach Temporal may signal without a message: a handler that throws would fail the workflow's tasks.
  setHandler(messages.decided, (message?: Partial<messages.DecidedMessage>) =>
    note(inbox, message?.approval),
  );
  setHandler(messages.childEnded, (message?: Partial<messages.ChildEndedMessage>) =>
    note(inbox, message?.run),
  );
  setHandler(messages.settled, (message?: Partial<messages.SettledMessage>) =>
    note(inbox, message?.effect),
  );
  setHandler(messages.steered, () => {
    inbox.isSpokenTo = true;
  });
  setHandler(messages.paused, () => {
    inbox.paused = true;
    inbox.controls += 1;
  });
  setHandler(messages.resumed, () => {
    inbox.paused = false;
    inbox.controls += 1;
  });
  setHandler(messages.status, statusOf);
  // An effect is never interrupted, so the request itself is noted: the loop sees it behind the effect.
  CancellationScope.current().cancelRequested.catch(() => {
    inbox.cancelled = true;
    inbox.controls += 1;
  });
  return inbox;
}

/** Waits for news of `id` or a control message, at most `timeoutMs`; `summary` stands at the timer in Temporal's UI. */
export async function nextNews(
  inbox: Inbox,
  id: string,
  timeoutMs: number,
  summary: string,
): Promise<void> {
  const { controls } = inbox;
  const hasCome = (): boolean => inbox.news.has(id) || inbox.controls > controls;
  await condition(hasCome, Math.max(1, timeoutMs), { summary });
  inbox.news.delete(id);
}

/** Waits for news of any of the `ids` or a control message, at most `timeoutMs`; the news are taken. */
export async function nextOf(
  inbox: Inbox,
  ids: readonly string[],
  timeoutMs: number,
): Promise<void> {
  const { controls } = inbox;
  const hasNews = (): boolean => ids.some((id) => inbox.news.has(id));
  await condition(() => hasNews() || inbox.controls > controls, Math.max(1, timeoutMs));
  for (const id of ids) inbox.news.delete(id);
}

/** Waits until something is said or asked of the run, at most `timeoutMs`. */
export async function nextWords(inbox: Inbox, timeoutMs: number): Promise<void> {
  const { controls } = inbox;
  await condition(() => inbox.isSpokenTo || inbox.controls > controls, Math.max(1, timeoutMs));
}

/** Waits for the next control message; false when the time is up. */
export function nextControl(inbox: Inbox, timeoutMs: number): Promise<boolean> {
  const { controls } = inbox;
  return condition(() => inbox.controls > controls, timeoutMs);
}

export function note(inbox: Inbox, id: string | undefined): void {
  if (id !== undefined && inbox.news.size < NEWS_MAX) inbox.news.add(id);
}

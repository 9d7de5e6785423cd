// What a supervisor and its worker processes say to each other over Node's IPC channel.

/** The variable that tells a process it is supervised; its value is the folder that the workers of one supervisor share. */
export const SUPERVISED = 'PAWL_SUPERVISED';

/** A worker that could poll now: where it would, and under which name Temporal would know it. */
export interface ReadyWorker {
  readonly identity: string;
  readonly taskQueue: string;
  readonly namespace: string;
  readonly temporalAddress: string;
}

export type FromWorker =
  | { readonly kind: 'ready'; readonly worker: ReadyWorker }
  /** It polls, and has announced what it offers. */
  | { readonly kind: 'polling' };

export type ToWorker =
  /** Poll from now on. */
  | { readonly kind: 'run' }
  /** You are not needed, and hold nothing. */
  | { readonly kind: 'leave' };

/** The message, when it is one that a worker sends. */
export function toFromWorker(message: unknown): FromWorker | undefined {
  const { kind } = (message ?? {}) as { kind?: unknown };
  return kind === 'ready' || kind === 'polling' ? (message as FromWorker) : undefined;
}

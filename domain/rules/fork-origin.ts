// What a forked run was forked from, as `pawl.runs.forked_from` holds it: written by the client, read by the engine.

export interface ForkOrigin {
  readonly runKey: string;
  /** The turn that is decided anew. */
  readonly turn: number;
  /** Short ids of effects behind the fork that are undone before the new run begins. */
  readonly compensated: readonly string[];
  /** What the person who forks has to say to the model. */
  readonly message?: string;
  readonly by: string;
}

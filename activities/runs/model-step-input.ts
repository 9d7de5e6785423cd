// The argument of the model activity; a shape only.
import type { EffectAddress } from '../../domain/rules/ids.ts';

export interface ModelStepInput {
  readonly v: 1;
  /** The turn is in here; `call` is the call's position in the answer. */
  readonly address: Omit<EffectAddress, 'call'>;
  readonly runKey: string;
  readonly agent: string;
  /** Hash of the pinned description. */
  readonly agentHash: string;
  /** The highest ledger sequence that the run has seen; absent in activities of older builds. */
  readonly seq?: number;
  /** Levels of sub-agents that it may still start; absent: its agent has none. */
  readonly depthLeft?: number;
  /** The workflow can hold a wait that a provider asks for; absent in those of older builds. */
  readonly canWait?: boolean;
  /** A session's turn begins only when something was said. */
  readonly session?: boolean;
}

// The search attribute by which Temporal's lists find an agent's runs; Temporal keeps it in the clear, so that it holds a name only.
import type { Connection } from '@temporalio/client';
import { reasonOf } from './temporal-errors.ts';

/** A Keyword, where the namespace has it. */
export const AGENT_ATTRIBUTE = 'PawlAgent';

/** temporal.api.enums.v1.IndexedValueType: INDEXED_VALUE_TYPE_KEYWORD. */
const KEYWORD = 2;
/** A start does not wait longer for something that it can do without. */
const ASK_TIMEOUT_MS = 1_000;

type Asked = Pick<Connection, 'operatorService' | 'withDeadline'>;

/** How the runs of one client are started: with the attribute where the namespace takes it. Never a reason to fail. */
export interface AgentAttribute {
  /** `start` is called with whether to set it; once more without, when Temporal refuses it after all. */
  whereTaken<T>(connection: Asked, start: (isTaken: boolean) => Promise<T>): Promise<T>;
}

/** Asks once: an attribute that is registered later is seen by clients that are opened later. */
export function createAgentAttribute(namespace: string): AgentAttribute {
  let answer: Promise<boolean> | undefined;
  return {
    async whereTaken(connection, start) {
      answer ??= askWhetherTaken(connection, namespace);
      const isTaken = await answer;
      try {
        return await start(isTaken);
      } catch (error) {
        if (!isTaken || !isAboutAttribute(error)) throw error;
        answer = Promise.resolve(false);
        return start(false);
      }
    },
  };
}

/** Some servers do not answer this, and some clients may not ask. */
function askWhetherTaken(connection: Asked, namespace: string): Promise<boolean> {
  return connection
    .withDeadline(Date.now() + ASK_TIMEOUT_MS, () =>
      connection.operatorService.listSearchAttributes({ namespace }),
    )
    .then(
      ({ customAttributes }) => Number(customAttributes[AGENT_ATTRIBUTE]) === KEYWORD,
      () => false,
    );
}

function isAboutAttribute(error: unknown): boolean {
  return reasonOf(error).includes(AGENT_ATTRIBUTE);
}

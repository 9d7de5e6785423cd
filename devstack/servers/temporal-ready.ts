// Whether a Temporal server really serves: a gRPC call that describes the namespace, not an open
// port.
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { Connection } from '@temporalio/client';

import { ServerError, errorText } from './server-error.ts';

const CALL_LIMIT_MS = 10_000;

/** A plain connection first: gRPC hides a refused one behind its own retries, a second or more. */
function assertListening(address: string): Promise<void> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const host = hostname.replace(/^\[(.*)\]$/, '$1'); // IPv6
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port || '7233'), timeout: CALL_LIMIT_MS });
    const finish = (settle: () => void): void => {
      socket.destroy();
      settle();
    };
    socket.once('connect', () => finish(resolve));
    socket.once('timeout', () => finish(() => reject(new Error(`no answer from ${address}`))));
    socket.once('error', (error) => finish(() => reject(error)));
  });
}

/** Describes the namespace once. Throws what the server or the network answered. */
export async function describeNamespace(address: string, namespace: string): Promise<void> {
  await assertListening(address);
  const connection = await Connection.connect({ address, connectTimeout: CALL_LIMIT_MS });
  try {
    await connection.withDeadline(Date.now() + CALL_LIMIT_MS, () =>
      connection.workflowService.describeNamespace({ namespace }),
    );
  } finally {
    await connection.close();
  }
}

/** temporal.api.enums.v1.IndexedValueType: INDEXED_VALUE_TYPE_KEYWORD. */
const KEYWORD = 2;

/**
 * What clients of Pawl set where a namespace has it. Over the wire: the server's own flag is for new databases only. Runs
 * start without it, too.
 */
export async function registerAttributes(address: string, namespace: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: CALL_LIMIT_MS });
  try {
    await connection.withDeadline(Date.now() + CALL_LIMIT_MS, () =>
      connection.operatorService.addSearchAttributes({
        namespace,
        searchAttributes: { PawlAgent: KEYWORD },
      }),
    );
  } catch {
    // Lists cannot be filtered by it then.
  } finally {
    await connection.close();
  }
}

/** Does it answer for the namespace within `timeoutMs`? */
export async function servesNamespace(
  address: string,
  namespace: string,
  timeoutMs: number,
): Promise<boolean> {
  return waitUntilServing({ address, namespace, timeoutMs, hasEnded: () => false }).then(
    () => true,
    () => false,
  );
}

export interface ReadyOptions {
  readonly address: string;
  readonly namespace: string;
  readonly timeoutMs: number;
  /** True as soon as waiting is of no use. */
  readonly hasEnded: () => boolean;
}

/**
 * Asks again and again until the server serves. Throws ServerError `not-serving` with the last
 * answer.
 */
export async function waitUntilServing(options: ReadyOptions): Promise<void> {
  const { address, namespace, timeoutMs, hasEnded } = options;
  const deadlineMs = Date.now() + timeoutMs;
  let lastAnswer = 'no answer';
  while (!hasEnded() && Date.now() < deadlineMs) {
    try {
      return await describeNamespace(address, namespace);
    } catch (error) {
      lastAnswer = errorText(error);
      await delay(50);
    }
  }
  throw new ServerError('not-serving', `${address}: ${lastAnswer}`);
}

/** Checks the server that TEMPORAL_ADDRESS names. */
export async function checkTemporalAddress(address: string, namespace: string): Promise<void> {
  try {
    await describeNamespace(address, namespace);
  } catch (error) {
    throw new ServerError(
      'not-serving',
      `TEMPORAL_ADDRESS is ${address}, but no Temporal server serves the namespace "${namespace}" there ` +
        `(${errorText(error)}). Start it, correct the address, or unset TEMPORAL_ADDRESS to let Pawl start its own.`,
      { cause: error },
    );
  }
}

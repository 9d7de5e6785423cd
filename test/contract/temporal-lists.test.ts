// What Temporal's lists show: an agent's runs by an attribute that never fails a start, and runs without the sweeps.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { ulid } from 'ulid';
import { runPage, runsPage } from '../../client/cli/temporal-ui.ts';
import { AGENT_ATTRIBUTE, createAgentAttribute } from '../../client/search-attributes.ts';
import { createTemporal, type RunStart } from '../../client/temporal.ts';
import { testTemporalAddress } from '../../devstack/test-database.ts';
import { until } from '../../testing/until.ts';
import { WorkflowType } from '../../workflows/messages.ts';
import { guarantee } from '../guarantee.ts';

const KEYWORD = 2;
const TEXT = 1;
const TEST_MS = 60_000;
const agent = `payouts-${ulid().toLowerCase()}`;
let connection: Connection;

beforeAll(async () => {
  connection = await Connection.connect({ address: testTemporalAddress() });
});
afterAll(() => connection.close());

/** A namespace of its own, with these attributes. */
async function createNamespace(searchAttributes: Record<string, number> = {}): Promise<string> {
  const namespace = `attributes-${ulid().toLowerCase()}`;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  await until(async () => {
    const describing = connection.workflowService.describeNamespace({ namespace });
    return describing.then(() => true).catch(() => false);
  });
  if (Object.keys(searchAttributes).length > 0)
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  return namespace;
}

function startOf(): RunStart {
  const runKey = `run_${ulid()}`;
  return {
    input: { v: 1, tenant: 'default', runKey, rootKey: runKey, path: [], agent, generation: 0 },
    taskQueue: `nobody-${runKey}`,
    summary: agent,
  };
}

async function open(namespace: string, work: (start: () => Promise<string>) => Promise<void>) {
  const temporal = createTemporal(testTemporalAddress(), namespace);
  try {
    await work(async () => {
      const start = startOf();
      expect(await until(() => temporal.startRun(start).catch(notThereYet))).toBe(true);
      return start.input.runKey;
    });
  } finally {
    await temporal.close();
  }
}

/** Temporal's frontends learn of a new namespace a moment later. */
function notThereYet(error: unknown): undefined {
  if (!/namespace/i.test(String(error))) throw error;
  return undefined;
}

async function attributesOf(namespace: string, runKey: string) {
  const handle = new Client({ connection, namespace }).workflow.getHandle(runKey);
  const { typedSearchAttributes, ...rest } = await handle.describe();
  await handle.terminate('its test is over');
  expect(rest.type).toBe('agentRun');
  return typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]);
}

describe('a start', () => {
  guarantee(
    'agent-attribute',
    'in the namespace of the development server → the list of Temporal is filtered by it',
    () =>
      open('default', async (start) => {
        const runKey = await start();
        const query = `${AGENT_ATTRIBUTE} = '${agent}'`;
        const { workflow } = new Client({ connection });
        const found = await until(async () => {
          for await (const { workflowId } of workflow.list({ query })) return workflowId;
          return undefined;
        });
        expect(found).toBe(runKey);
        expect(await attributesOf('default', runKey)).toEqual([[AGENT_ATTRIBUTE, agent]]);
      }),
    TEST_MS,
  );

  guarantee(
    'agent-attribute',
    'it is not registered, or as another type → started without it',
    async () => {
      for (const registered of [{}, { [AGENT_ATTRIBUTE]: TEXT }]) {
        const namespace = await createNamespace(registered);
        await open(namespace, async (start) => {
          expect(await attributesOf(namespace, await start())).toEqual([]);
        });
      }
    },
    TEST_MS,
  );

  guarantee(
    'agent-attribute',
    'it is taken away after the client has asked → started without it',
    async () => {
      const namespace = await createNamespace({ [AGENT_ATTRIBUTE]: KEYWORD });
      await open(namespace, async (start) => {
        expect(await attributesOf(namespace, await start())).toEqual([[AGENT_ATTRIBUTE, agent]]);
        await connection.operatorService.removeSearchAttributes({
          namespace,
          searchAttributes: [AGENT_ATTRIBUTE],
        });
        // The frontend goes by what it knew for a moment longer.
        await until(async () => (await attributesOf(namespace, await start())).length === 0);
      });
    },
    TEST_MS,
  );
});

it('a question that fails → no attribute, and the start is made', async () => {
  let asked = 0;
  const denied = {
    operatorService: {
      listSearchAttributes: () => {
        asked += 1;
        return Promise.reject(new Error('PERMISSION_DENIED'));
      },
    },
    withDeadline: (_deadline: unknown, ask: () => Promise<unknown>) => ask(),
  } as unknown as Connection;
  const attribute = createAgentAttribute('default');
  for (const _start of [1, 2])
    expect(await attribute.whereTaken(denied, (isTaken) => Promise.resolve(isTaken))).toBe(false);
  expect(asked).toBe(1);
});

describe('links to the UI', () => {
  it('the list of runs → Temporal finds the run by its query, and no sweep', async () => {
    const { workflow } = new Client({ connection });
    const taskQueue = `nobody-${ulid()}`;
    const idOf = (type: string): string => `${type}-${taskQueue}`;
    const types = Object.values(WorkflowType);
    for (const type of types)
      await workflow.start(type, { workflowId: idOf(type), taskQueue, args: [] });
    const listed = async (query: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const { workflowId } of workflow.list({ query })) found.push(workflowId);
      return found.sort();
    };
    const ours = `TaskQueue = '${taskQueue}'`;
    await until(async () => (await listed(ours)).length === types.length);
    const query = new URL(runsPage('http://127.0.0.1:8233/')).searchParams.get('query');
    const runs = [WorkflowType.AgentRun, WorkflowType.Compensate].map(idOf).sort();
    expect(await listed(`${query ?? ''} AND ${ours}`)).toEqual(runs);
    for (const type of types) await workflow.getHandle(idOf(type)).terminate('its test is over');
  });

  it('they hold no character that a shell or a terminal would read', () => {
    expect(runsPage('http://127.0.0.1:8233')).toBe(
      'http://127.0.0.1:8233/namespaces/default/workflows?query=WorkflowType+%21%3D+%22pawlReconciler%22',
    );
    expect(runPage('http://127.0.0.1:8233/', 'run_1')).toBe(
      'http://127.0.0.1:8233/namespaces/default/workflows/run_1',
    );
  });
});

// The token of a workflow task that another process has taken: Temporal's server accepts one that is built from its parts.

export interface WorkflowTaskName {
  readonly namespaceId: string;
  readonly workflowId: string;
  readonly runId: string;
  readonly scheduledEventId: number;
  readonly attempt: number;
  /** The failover version of the scheduling event: 0 unless the namespace is a global one. */
  readonly version: number;
}

/** Field numbers of `temporal.server.api.token.v1.Task` (server 1.29). */
const FIELD = {
  namespaceId: 1,
  workflowId: 2,
  runId: 3,
  scheduledEventId: 4,
  attempt: 5,
  version: 11,
} as const;

/** Protobuf by hand: the message is the server's own, and in no published package. */
export function workflowTaskToken(task: WorkflowTaskName): Uint8Array {
  return Buffer.concat([
    text(FIELD.namespaceId, task.namespaceId),
    text(FIELD.workflowId, task.workflowId),
    text(FIELD.runId, task.runId),
    integer(FIELD.scheduledEventId, task.scheduledEventId),
    integer(FIELD.attempt, task.attempt),
    integer(FIELD.version, task.version),
  ]);
}

const LENGTH_DELIMITED = 2;

function text(field: number, value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  const head = [...varint((field << 3) | LENGTH_DELIMITED), ...varint(bytes.length)];
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** Zero is not written, as protobuf wants it. */
function integer(field: number, value: number): Buffer {
  return Buffer.from(value === 0 ? [] : [...varint(field << 3), ...varint(value)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

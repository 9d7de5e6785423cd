// Envelopes, key-encryption keys, the door of the bodies and the payload codec: known answers, misuse, and round trips.
import { createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  defaultPayloadConverter,
  type Payload,
  type SerializationContext,
} from '@temporalio/common';
import fc from 'fast-check';
import { guarantee } from '../guarantee.ts';
import { createBodyDoor, LOCKED_TEXT } from '../../activities/encryption/body-door.ts';
import { type DataKey, open, parseEnvelope, seal } from '../../activities/encryption/envelope.ts';
import { createConfiguredKeys } from '../../activities/encryption/key-provider.ts';
import {
  type CodecMode,
  createPayloadCodec,
  HISTORY_ENCODING,
} from '../../activities/encryption/payload-codec.ts';
import type { Statement } from '../../activities/encryption/run-keys.ts';
import {
  bytesBody,
  jsonBody,
  partlySecret,
  Secret,
  textBody,
} from '../../activities/encryption/sealed-body.ts';

const base64 = (fill: number): string => Buffer.alloc(32, fill).toString('base64');
const ONE = `k1:${base64(1)}`;
const TWO = `k2:${base64(2)}`;
const run = { tenant: 'acme', runKey: 'run_1' };

const dataKey = (more: Partial<DataKey> = {}): DataKey => ({
  ...run,
  id: randomBytes(12).toString('base64url'),
  bytes: Buffer.alloc(32, 7),
  ...more,
});

/** What the table pawl.run_keys would hold. */
function createKeyTable() {
  const rows: Record<string, unknown>[] = [];
  const statement = ((text: string, values: readonly unknown[]) => {
    if (text.startsWith('insert')) {
      const [tenant, run_key, key_id, kek_id, wrapped] = values;
      const isThere = rows.some((row) => row['tenant'] === tenant && row['run_key'] === run_key);
      if (isThere) return Promise.resolve([]);
      rows.push({ tenant, run_key, key_id, kek_id, wrapped });
      return Promise.resolve([{ key_id }]);
    }
    const [first, second] = values;
    const isWanted = (row: Record<string, unknown>): boolean =>
      Array.isArray(first)
        ? first.includes(row['key_id'])
        : row['tenant'] === first && row['run_key'] === second;
    return Promise.resolve(rows.filter(isWanted));
  }) as Statement;
  return { rows, statement };
}

describe('envelope', () => {
  it('sealed → plain AES-256-GCM that anybody can check, bound to tenant, run and place', () => {
    const key = dataKey();
    const envelope = parseEnvelope(seal(key, 'calls.arguments', Buffer.from('the words')));
    const data = envelope?.data ?? Buffer.alloc(0);
    const decipher = createDecipheriv('aes-256-gcm', Buffer.alloc(32, 7), data.subarray(0, 12))
      .setAAD(Buffer.from('["pawl body","acme","run_1","calls.arguments"]'))
      .setAuthTag(data.subarray(-16));
    const plain = Buffer.concat([decipher.update(data.subarray(12, -16)), decipher.final()]);
    expect(plain.toString()).toBe('the words');
  });

  it('the same words twice → two ciphertexts', () => {
    const key = dataKey();
    expect(seal(key, 'a.b', Buffer.from('x'))).not.toBe(seal(key, 'a.b', Buffer.from('x')));
  });

  it.each([
    ['another run', { runKey: 'run_2' }],
    ['another tenant', { tenant: 'other' }],
    ['another key', { bytes: Buffer.alloc(32, 8) }],
  ])('opened as of %s → Encryption.Tampered', (_what, more) => {
    const key = dataKey();
    const envelope = parseEnvelope(seal(key, 'a.b', Buffer.from('x')));
    if (!envelope) throw new Error('no envelope');
    const tampered = expect.objectContaining({ code: 'Encryption.Tampered' });
    expect(() => open({ ...key, ...more }, envelope)).toThrow(tampered);
  });

  it('another place, a flipped bit, a cut tag → Encryption.Tampered', () => {
    const key = dataKey();
    const envelope = parseEnvelope(seal(key, 'a.b', Buffer.from('words')));
    if (!envelope) throw new Error('no envelope');
    const tampered = expect.objectContaining({ code: 'Encryption.Tampered' });
    expect(() => open(key, { ...envelope, place: 'a.c' })).toThrow(tampered);
    for (let at = 0; at < envelope.data.length; at += 1) {
      const data = Buffer.from(envelope.data);
      data[at] = (data[at] ?? 0) ^ 1;
      expect(() => open(key, { ...envelope, data })).toThrow(tampered);
    }
    expect(() => open(key, { ...envelope, data: envelope.data.subarray(0, -1) })).toThrow(tampered);
  });
});

describe('configured keys', () => {
  it('rotated → the new key wraps, the old one still unwraps', async () => {
    const context = { tenant: 'acme', scope: 'run_1' };
    const old = await createConfiguredKeys(ONE).wrap(Buffer.alloc(32, 9), context);
    const both = createConfiguredKeys(`${TWO}, ${ONE}`);
    expect(both.currentKeyId).toBe('k2');
    expect(await both.unwrap(old, context)).toEqual(Buffer.alloc(32, 9));
    expect((await both.wrap(Buffer.alloc(32, 9), context)).keyId).toBe('k2');
  });

  it('a key that is not configured → Encryption.KeyUnknown that names it', async () => {
    const context = { tenant: 'acme', scope: 'run_1' };
    const wrapped = await createConfiguredKeys(ONE).wrap(Buffer.alloc(32, 9), context);
    const unwrapping = createConfiguredKeys(TWO).unwrap(wrapped, context);
    await expect(unwrapping).rejects.toMatchObject({
      code: 'Encryption.KeyUnknown',
      message: expect.stringContaining('"k1"'),
    });
  });

  it.each([
    ['other bytes under the same id', `k1:${base64(3)}`, { tenant: 'acme', scope: 'run_1' }],
    ['another tenant', ONE, { tenant: 'other', scope: 'run_1' }],
    ['another run', ONE, { tenant: 'acme', scope: 'run_2' }],
  ])('%s → Encryption.KeyRefused that names the key', async (_what, line, context) => {
    const from = { tenant: 'acme', scope: 'run_1' };
    const wrapped = await createConfiguredKeys(ONE).wrap(Buffer.alloc(32, 9), from);
    await expect(createConfiguredKeys(line).unwrap(wrapped, context)).rejects.toMatchObject({
      code: 'Encryption.KeyRefused',
      message: expect.stringContaining('"k1"'),
    });
  });

  it('wrapped → AES-256-GCM under HKDF of key and tenant', async () => {
    const context = { tenant: 'acme', scope: 'run_1' };
    const { wrapped } = await createConfiguredKeys(ONE).wrap(Buffer.alloc(32, 9), context);
    const info = 'pawl tenant key\0acme';
    const key = Buffer.from(hkdfSync('sha256', Buffer.alloc(32, 1), 'pawl', info, 32));
    const decipher = createDecipheriv('aes-256-gcm', key, wrapped.subarray(0, 12))
      .setAAD(Buffer.from('["pawl key","acme","run_1"]'))
      .setAuthTag(wrapped.subarray(-16));
    const plain = Buffer.concat([decipher.update(wrapped.subarray(12, -16)), decipher.final()]);
    expect(plain).toEqual(Buffer.alloc(32, 9));
  });

  it.each([
    ['no id', base64(1)],
    ['too short', `k1:${Buffer.alloc(16, 1).toString('base64')}`],
    ['not base64', `k1:${'!'.repeat(44)}`],
    ['twice the same id', `${ONE},${ONE}`],
    ['an empty entry', `${ONE},`],
  ])('%s → Encryption.KeysInvalid, without the secret in it', (_what, line) => {
    const [, secret = 'none'] = line.split(':');
    let thrown: unknown;
    try {
      createConfiguredKeys(line);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'Encryption.KeysInvalid' });
    expect(String(thrown)).not.toContain(secret.slice(0, 12));
  });
});

describe('the door', () => {
  const keys = createConfiguredKeys(ONE);

  it('any JSON, text or bytes → sealed in the statement, the same in the row', async () => {
    const { statement } = createKeyTable();
    const door = createBodyDoor({ keys });
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue(),
        fc.string({ unit: 'binary' }),
        fc.uint8Array(),
        async (value, text, bytes) => {
          const [json, words, raw] = (await door.seal(statement, [
            jsonBody(run, 'calls.result', value),
            textBody(run, 'messages.text', text),
            bytesBody(run, 'effect_requests.body', Buffer.from(bytes)),
          ])) as [string, string, Buffer];
          const stored = { result: JSON.parse(json) as unknown, text: words, body: raw };
          const [row] = await door.open(statement, [{ ...stored }]);
          const plain = JSON.parse(JSON.stringify(value)) as unknown;
          expect(row).toEqual({
            result: plain,
            text: JSON.parse(JSON.stringify(text)),
            body: Buffer.from(bytes),
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('JSON that SQL looks into → only its secrets are sealed', async () => {
    const { statement } = createKeyTable();
    const door = createBodyDoor({ keys });
    const value = { by: 'ada', deep: [{ output: new Secret('effect_facts.data', 'words') }] };
    const [text] = await door.seal(statement, [partlySecret(run, 'effect_facts.data', value)]);
    const data = JSON.parse(text as string) as { by: string; deep: { output: string }[] };
    expect(data.by).toBe('ada');
    expect(data.deep[0]?.output).toMatch(/^pawl-sealed:1:/);
    const [row] = await door.open(statement, [{ data }]);
    expect(row).toEqual({ data: { by: 'ada', deep: [{ output: 'words' }] } });
  });

  it('a body in the row of another run, or in another column → Encryption.Tampered', async () => {
    const { statement } = createKeyTable();
    const door = createBodyDoor({ keys });
    const [text] = await door.seal(statement, [textBody(run, 'messages.text', 'words')]);
    const tampered = { code: 'Encryption.Tampered' };
    const moved = (row: object) => door.open(statement, [row]);
    await expect(moved({ run_key: 'run_2', text })).rejects.toMatchObject(tampered);
    await expect(moved({ runKey: 'run_2', text })).rejects.toMatchObject(tampered);
    await expect(moved({ tenant: 'other', text })).rejects.toMatchObject(tampered);
    await expect(moved({ run_key: 'run_1', summary: text })).rejects.toMatchObject(tampered);
    expect(await moved({ run_key: 'run_1', tenant: 'acme', text })).toEqual([
      { run_key: 'run_1', tenant: 'acme', text: 'words' },
    ]);
  });

  it('a transaction that is rolled back → its new key is nobody’s', async () => {
    const table = createKeyTable();
    const door = createBodyDoor({ keys });
    const lost = door.begin();
    await lost.seal(table.statement, [textBody(run, 'messages.text', 'words')]);
    table.rows.length = 0;
    const [text] = await door.seal(table.statement, [textBody(run, 'messages.text', 'again')]);
    const other = createBodyDoor({ keys });
    expect(await other.open(table.statement, [{ text }])).toEqual([{ text: 'again' }]);
  });

  it('an erased run → what it held is null, what comes late can never be read', async () => {
    const table = createKeyTable();
    const [before] = await createBodyDoor({ keys }).seal(table.statement, [
      textBody(run, 'messages.text', 'words'),
    ]);
    for (const row of table.rows) row['wrapped'] = null;
    const door = createBodyDoor({ keys });
    const [late] = await door.seal(table.statement, [textBody(run, 'messages.text', 'late')]);
    const rows = await door.open(table.statement, [{ text: before }, { text: late }]);
    expect(rows).toEqual([{ text: null }, { text: null }]);
  });

  it('no keys → a client shows that there is something and writes nothing beside it, the engine refuses', async () => {
    const { statement } = createKeyTable();
    const [text] = await createBodyDoor({ keys }).seal(statement, [
      textBody(run, 'messages.text', 'words'),
    ]);
    const client = createBodyDoor({ whenLocked: 'show' });
    const off = { code: 'Encryption.Off', message: expect.stringContaining('"k1"') };
    expect(await client.open(statement, [{ text }])).toEqual([{ text: LOCKED_TEXT }]);
    const writing = client.seal(statement, [textBody(run, 'messages.text', 'plain')]);
    await expect(writing).rejects.toMatchObject(off);
    await expect(createBodyDoor().open(statement, [{ text }])).rejects.toMatchObject(off);
  });

  it('words that only look like an envelope → left as they are', async () => {
    const { statement } = createKeyTable();
    const text = `pawl-sealed:1:${'A'.repeat(16)}:messages.text:${'B'.repeat(60)}`;
    for (const door of [createBodyDoor({ keys }), createBodyDoor()]) {
      expect(await door.open(statement, [{ text, data: { text: 'pawl-sealed:1:' } }])).toEqual([
        { text, data: { text: 'pawl-sealed:1:' } },
      ]);
    }
  });

  it('off → the very values that were always written', async () => {
    const { statement } = createKeyTable();
    const sealed = await createBodyDoor().seal(statement, [
      jsonBody(run, 'calls.result', { a: [1, null] }),
      jsonBody(run, 'calls.result', undefined),
      textBody(run, 'messages.text', null),
      partlySecret(run, 'effect_facts.data', {
        output: new Secret('effect_facts.data', 5),
        x: undefined,
      }),
      7,
    ]);
    expect(sealed).toEqual(['{"a":[1,null]}', null, null, '{"output":5}', 7]);
  });
});

describe('payload codec', () => {
  const keys = createConfiguredKeys(ONE);
  const toPayload = (value: unknown) => defaultPayloadConverter.toPayload(value);

  it('encoded → no word in it, decoded by any process with the key, also after a rotation', async () => {
    const [sealed] = await createPayloadCodec(keys, 'acme').encode([
      toPayload({ secret: 'words' }),
    ]);
    if (!sealed) throw new Error('nothing was encoded');
    expect(Buffer.from(sealed.metadata?.['encoding'] ?? []).toString()).toBe(HISTORY_ENCODING);
    expect(Buffer.from(sealed.data ?? []).includes('words')).toBe(false);
    const later = createPayloadCodec(createConfiguredKeys(`${TWO},${ONE}`), 'other');
    const [plain] = await later.decode([sealed]);
    expect(plain && defaultPayloadConverter.fromPayload(plain)).toEqual({ secret: 'words' });
  });

  it('never encrypted → left as it is', async () => {
    const payload = toPayload('plain');
    expect(await createPayloadCodec(keys, 'acme').decode([payload])).toEqual([payload]);
  });

  const here = { type: 'workflow', namespace: 'n', workflowId: 'run_a' } as const;
  const codecOf = (mode?: CodecMode) => createPayloadCodec(keys, 'acme', mode);
  const sealedBy = async (mode?: CodecMode): Promise<Payload> => {
    const [sealed = {}] = await codecOf(mode).encode([toPayload('words')], here);
    return sealed;
  };

  guarantee(
    'strict-codec',
    'with keys: in the clear → refused; in the transition and for replay → read',
    async () => {
      const payload = toPayload('plain');
      const own = codecOf('own').decode([payload], here);
      await expect(own).rejects.toMatchObject({ code: 'Encryption.Plaintext' });
      expect(await codecOf('transition').decode([payload], here)).toEqual([payload]);
    },
  );

  guarantee(
    'strict-codec',
    'of another workflow or namespace, or with its owner changed or taken off → Encryption.Tampered',
    async () => {
      const sealed = await sealedBy('own');
      const read = (payload: Payload, context?: SerializationContext) =>
        codecOf('own').decode([payload], context);
      const activity = { ...here, type: 'activity', activityId: '1', isLocal: false } as const;
      expect(await read(sealed, activity)).toEqual([toPayload('words')]);
      const scheduled = { ...here, workflowId: 'run_a-2026-11-30T17:00:00Z' };
      expect(await read(sealed, scheduled)).toEqual([toPayload('words')]);
      const moved = [
        read(sealed, { ...here, workflowId: 'run_b' }),
        read(sealed, { ...here, namespace: 'm' }),
        ...['', '["n","run_b"]', '["n","run_a" ]'].map((owner) => {
          const metadata = { ...sealed.metadata, owner: Buffer.from(owner) };
          return read({ ...sealed, metadata }, { ...here, workflowId: 'run_b' });
        }),
        read({ ...sealed, metadata: { ...sealed.metadata, tenant: Buffer.from('x') } }, here),
      ];
      for (const one of moved) {
        await expect(one).rejects.toMatchObject({ name: 'EncryptionError' });
      }
    },
  );

  guarantee(
    'strict-codec',
    'what an older build wrote → read; in the transition written so',
    async () => {
      const old = await sealedBy('transition');
      expect(Object.keys(old.metadata ?? {})).not.toContain('owner');
      expect(await codecOf('own').decode([old], here)).toEqual([toPayload('words')]);
    },
  );

  it('a flipped bit → Encryption.Tampered; an unknown key → Encryption.KeyUnknown', async () => {
    const codec = createPayloadCodec(keys, 'acme');
    const [sealed] = await codec.encode([toPayload('words')]);
    const data = Buffer.from(sealed?.data ?? []);
    data[20] = (data[20] ?? 0) ^ 1;
    const changed = codec.decode([{ ...sealed, data }]);
    await expect(changed).rejects.toMatchObject({ code: 'Encryption.Tampered' });
    const elsewhere = createPayloadCodec(createConfiguredKeys(TWO), 'acme').decode([sealed ?? {}]);
    await expect(elsewhere).rejects.toMatchObject({ code: 'Encryption.KeyUnknown' });
  });
});

// How the fake bank calls back: signs as Standard Webhooks 1.0 says and sends until it is heard; knows no transfers.
import { createHmac, randomBytes } from 'node:crypto';
import type { Delay } from './http-server.ts';
import type { Json } from './receipts-log.ts';

/** Where a receiver calls back. */
export interface WebhookTarget {
  url: string;
  /** `whsec_` and base64. */
  secret: string;
}

/** One message; sent again it keeps its id and gets a new time and signature. */
export interface WebhookMessage {
  id: string;
  body: Json;
}

/** One try to deliver one message. */
export interface WebhookDelivery {
  id: string;
  /** Null: nobody answered. */
  status: number | null;
}

/** What a forger, a replayer or a test changes. */
export interface WebhookForgery {
  /** Default: the target's. */
  url?: string | undefined;
  /** Default: the target's. */
  secret?: string | undefined;
  /** How old the message claims to be. Default 0. */
  ageMs?: number | undefined;
}

export interface WebhookSender {
  setTarget(target: WebhookTarget | undefined): void;
  /** Sends until a 2xx; resolves then, or at once when there is no target. Rejects when the server closes. */
  deliver(message: WebhookMessage): Promise<void>;
  /** Sends once; resolves to the status, null when nobody answered. Throws without a target. */
  post(message: WebhookMessage, forgery?: WebhookForgery): Promise<number | null>;
  /** Every try, oldest first. */
  deliveries(): WebhookDelivery[];
}

const firstPauseMs = 50;
const longestPauseMs = 1_000;
const answerTimeoutMs = 15_000;

export function createWebhookSender(delay: Delay): WebhookSender {
  let target: WebhookTarget | undefined;
  const tries: WebhookDelivery[] = [];
  const post: WebhookSender['post'] = async (message, forgery = {}) => {
    if (!target) throw new Error('Nobody wants webhooks yet: call sendWebhooksTo first.');
    const { url = target.url, secret = target.secret, ageMs = 0 } = forgery;
    const status = await send({ url, secret }, ageMs, message);
    tries.push({ id: message.id, status });
    return status;
  };
  return {
    setTarget: (next) => void (target = next),
    post,
    deliveries: () => tries.map((one) => ({ ...one })),
    async deliver(message) {
      for (let pauseMs = firstPauseMs; target; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
        const status = await post(message);
        if (status !== null && status >= 200 && status < 300) return;
        await delay(pauseMs);
      }
    },
  };
}

async function send(
  { url, secret }: WebhookTarget,
  ageMs: number,
  message: WebhookMessage,
): Promise<number | null> {
  const body = JSON.stringify(message.body);
  const timestamp = String(Math.floor((Date.now() - ageMs) / 1_000));
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': message.id,
        'webhook-timestamp': timestamp,
        'webhook-signature': sign(secret, `${message.id}.${timestamp}.${body}`),
      },
      body,
      // A redirect is a failure: the signed message is for this address.
      redirect: 'manual',
      signal: AbortSignal.timeout(answerTimeoutMs),
    });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return null;
  }
}

function sign(secret: string, content: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
}

/** A secret as a receiver hands it out. */
export function createWebhookSecret(): string {
  return `whsec_${randomBytes(24).toString('base64')}`;
}

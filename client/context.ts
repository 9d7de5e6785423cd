// What every part of the client works with: the two servers and whom it speaks for.
import type { KeyProvider } from '../activities/encryption/encryption.ts';
import type { Database } from './database.ts';
import type { Temporal } from './temporal.ts';

export interface ClientContext {
  readonly database: Database;
  readonly temporal: Temporal;
  readonly tenant: string;
  readonly taskQueue: string;
  readonly requester: string;
  /** With them bodies are sealed, and nothing of them goes to Temporal either. @default encryption is off */
  readonly keys?: KeyProvider | undefined;
}

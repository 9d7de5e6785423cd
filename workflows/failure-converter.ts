// The failure converter of encrypted histories: messages and stack traces go through the codec like everything else.
import { DefaultFailureConverter } from '@temporalio/common';

/** What a bundle that encrypts failures can be told by. */
export const FAILURES_ENCRYPTED = 'pawl:failures-encrypted';

/** Loaded by path, in the sandbox and outside. Reads plain failures, too. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });

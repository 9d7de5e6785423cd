// Counts prompt tokens as a provider with an automatic prompt cache would bill them; in memory, for
// one provider process.
import { createHash } from 'node:crypto';
import type { ModelUsage } from './model-script.ts';
import { countTokens } from './model-wire.ts';

export interface PromptCounter {
  /**
   * Segments (tools, system, each message) that begin an earlier prompt of the same scope byte for
   * byte are cache reads.
   */
  count(scope: string, segments: string[]): Pick<ModelUsage, 'inputTokens' | 'cacheReadTokens'>;
}

export function createPromptCounter(): PromptCounter {
  const seenPrefixes = new Set<string>();
  return {
    count(scope, segments) {
      let prefix = scope;
      let isCached = true;
      const tokens = { inputTokens: 0, cacheReadTokens: 0 };
      for (const segment of segments) {
        prefix = createHash('sha256').update(`${prefix}\n${segment}`).digest('base64');
        isCached &&= seenPrefixes.has(prefix);
        tokens[isCached ? 'cacheReadTokens' : 'inputTokens'] += countTokens(segment);
        seenPrefixes.add(prefix);
      }
      return tokens;
    },
  };
}

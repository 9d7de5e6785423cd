// Requests to models that were paid for and are not used, as `pawl show` tells of them.
import type { ClientContext } from './context.ts';
import type { TurnView } from './run-views.ts';

/** A request to a model that was paid for and is not used: an answer that came twice, was no summary, or broke off. */
export interface UnusedAnswerView extends Omit<
  TurnView,
  'stopReason' | 'requestId' | 'modelServed'
> {
  readonly kind: 'turn' | 'compaction';
  readonly problem: string;
}

/** The last so many, oldest first. */
export function listUnusedAnswers(
  { database, tenant }: ClientContext,
  runKey: string,
  last: number,
): Promise<UnusedAnswerView[]> {
  return database.query<UnusedAnswerView>(
    `select turn, generation, kind, problem, model_requested as "modelRequested", input_tokens as "inputTokens",
       output_tokens as "outputTokens", cached_input_tokens as "cachedInputTokens",
       cost_micro_usd as "costMicroUsd", is_priced as "isPriced", attempt, duration_ms as "durationMs",
       created_at as "createdAt"
     from (
       select * from pawl.model_answers where tenant = $1 and run_key = $2 and answer is null
       order by turn desc, generation desc, created_at desc limit $3) latest
     order by turn, generation, created_at`,
    [tenant, runKey, last],
  );
}

// An agent whose models have no known price is refused: its budget in money would never end a run.
import type { AgentRegistry } from '../activities/runs/agent-registry.ts';
import { isPriced, type PriceTable } from '../domain/rules/pricing.ts';

/** Throws a `TypeError` that names agent and models; `unpriced: 'allow'` of the agent takes the limit away on purpose. */
export function checkPrices(agents: AgentRegistry['agents'], prices: PriceTable): void {
  for (const { agent } of agents.values()) {
    const { name, model, compaction, unpriced } = agent;
    if (unpriced === 'allow') continue;
    const models = [
      model.primary,
      ...model.fallbacks,
      ...(compaction?.model ? [compaction.model] : []),
    ];
    const unknown = models.filter((each) => !isPriced(each, prices));
    if (unknown.length === 0) continue;
    throw new TypeError(
      `Agent "${name}": no price is known for ${unknown.map((each) => `"${each}"`).join(', ')}, so that its budget.usd ` +
        'would never end a run. Add the price (createWorker({ prices: withPrices(PRICES, { … }) })), or say ' +
        "unpriced: 'allow' in defineAgent.",
    );
  }
}

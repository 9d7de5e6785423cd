// Pages of Temporal's UI, as its version 2.54 addresses them: links to print.

const NAMESPACE = 'default';
/** The sweeps, every 30 s, would bury the runs. Named here, because the name's own module loads Temporal's SDK. */
const WITHOUT_SWEEPS = new URLSearchParams({ query: 'WorkflowType != "pawlReconciler"' });

/** The list of runs, without the reconciler's sweeps. */
export function runsPage(uiUrl: string): string {
  return `${workflowsOf(uiUrl)}?${WITHOUT_SWEEPS.toString()}`;
}

/** One run: its summaries and what is waited for. */
export function runPage(uiUrl: string, runKey: string): string {
  return `${workflowsOf(uiUrl)}/${encodeURIComponent(runKey)}`;
}

function workflowsOf(uiUrl: string): string {
  return `${uiUrl.replace(/\/+$/, '')}/namespaces/${NAMESPACE}/workflows`;
}

// For workers whose reconciler must have no part to play: it must not be who settles, and its sweeps cost time.

/** `reconcileEveryMs` of a reconciler that sweeps in 2049: Temporal counts intervals from 1970, so an hour is every full hour. */
export const NO_SWEEPS_MS = 80 * 365 * 86_400_000;

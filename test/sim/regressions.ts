// Runs that have found something once: each goes again in every test run, with what it found.

export interface Regression {
  readonly cell: string;
  readonly seed: number;
  readonly why: string;
}

const REFUSED =
  'the refusal of an older send became the end of the effect, while a newer send was under way and was applied';
const LOOKED =
  'looks from before the last send, reported late by a process that was frozen, counted as two absents of that send';
const ASKED =
  'a tool refused before it sent, by a state that was no longer true: another attempt had sent meanwhile';
const TRIED =
  'given up as unreachable after attempts that never sent: an outage or a frozen worker had used them up';

export const regressions: readonly Regression[] = [
  { cell: 'keyed settle-commit reject-once duplicate', seed: 50, why: REFUSED },
  { cell: 'keyed before-settle reject-once storm', seed: 489, why: REFUSED },
  { cell: 'keyed lease-wait reject-once duplicate', seed: 1_342_043_875, why: REFUSED },
  { cell: 'reconcilable before-settle reject-once zombie', seed: 2, why: REFUSED },
  { cell: 'reconcilable after-probe timeout-before zombie', seed: 15, why: LOOKED },
  { cell: 'reconcilable after-probe timeout-before zombie', seed: 22, why: LOOKED },
  { cell: 'reconcilable after-probe timeout-after zombie', seed: 24, why: LOOKED },
  { cell: 'once before-dispatch asks-first storm', seed: 2_628, why: ASKED },
  { cell: 'once after-decision asks-first zombie', seed: 3, why: ASKED },
  { cell: 'keyed after-intent no-connection outage', seed: 2, why: TRIED },
  { cell: 'reconcilable before-return ok storm', seed: 302_380_140, why: TRIED },
];

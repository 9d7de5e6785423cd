// What a benchmark is: the question that it answers, its counts, and how it is asked.

/** An option of a question, `--name <n>`: a whole number. */
export interface Count {
  readonly usual: number;
  readonly min: number;
  readonly says: string;
}

export interface Answer {
  /** What `--json` prints beside the question and the machine. */
  readonly report: object;
  readonly text: string;
  /** What `--svg` writes. */
  readonly svg?: string;
  /** False ends with 1: something is wrong, never that something was slow. */
  readonly isRight: boolean;
}

export interface Question {
  readonly says: string;
  readonly counts: Readonly<Record<string, Count>>;
  /** What its answer draws, when it draws something. */
  readonly draws?: string;
  ask(counts: Readonly<Record<string, number>>): Promise<Answer>;
}

/** A question whose counts `ask` knows by name. */
export function defineQuestion<Name extends string>(question: {
  readonly says: string;
  readonly counts: Readonly<Record<Name, Count>>;
  readonly draws?: string;
  ask(counts: Readonly<Record<Name, number>>): Promise<Answer>;
}): Question {
  return question;
}

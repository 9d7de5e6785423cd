// One thing that `doctor` looks at, and what it saw there.
export interface HealthCheck {
  /** Such as `temporal`; stable. */
  readonly name: string;
  /** `unknown`: could not be looked at, because something before it failed. */
  readonly status: 'pass' | 'warn' | 'fail' | 'unknown';
  /** What was seen. */
  readonly detail: string;
  /** The next step; absent when there is none. */
  readonly advice?: string;
}

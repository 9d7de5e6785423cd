// The JSON value type that every boundary of Pawl carries; no encoding or hashing here.

/** A value that survives JSON unchanged. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

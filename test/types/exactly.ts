// A compile-time assertion that two types are the same, not only assignable to each other.
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** `exactly<A>()<B>()`, or `exactly<A>()(value)`: an error of the compiler unless both are the same type. */
export function exactly<A>(): <B>(
  ..._proof: Same<A, B> extends true ? [] | [value: B] : [never, 'these types differ']
) => void {
  return () => undefined;
}

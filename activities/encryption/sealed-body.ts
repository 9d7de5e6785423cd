// Bodies on their way into a statement: what must not stand in the database in the clear says so here.
import type { Json } from '../../domain/rules/json.ts';

/** Whose data key seals it. */
export interface BodyOwner {
  readonly tenant: string;
  readonly runKey: string;
}

/** A parameter that the database's door seals, or writes in the clear where encryption is off. */
export class Body {
  readonly owner: BodyOwner;
  /** Table and column, such as `calls.arguments`. */
  readonly place: string;
  readonly shape: BodyShape;
  constructor(owner: BodyOwner, place: string, shape: BodyShape) {
    this.owner = owner;
    this.place = place;
    this.shape = shape;
  }

  /** `pg` asks for this before it writes: a body that nobody has sealed must not get through. */
  toPostgres(): never {
    throw new Error(`The body of ${this.place} reached PostgreSQL without the door that seals it`);
  }

  toJSON(): never {
    throw new Error(`The body of ${this.place} must be a parameter of its own, not inside JSON`);
  }
}

export type BodyShape =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** JSON with a `Secret` wherever a value is sealed; all else stays readable for SQL. */
  | { readonly kind: 'json'; readonly value: unknown };

/** A value inside JSON that is sealed by itself. */
export class Secret {
  readonly place: string;
  readonly value: Json;
  /** @default the owner of the parameter */
  readonly owner: BodyOwner | undefined;
  constructor(place: string, value: Json, owner?: BodyOwner) {
    this.place = place;
    this.value = value;
    this.owner = owner;
  }

  toJSON(): never {
    throw new Error(
      `The secret ${this.place} must go through \`jsonBody\`, not through JSON.stringify`,
    );
  }
}

/** For a text column. */
export function textBody(owner: BodyOwner, place: string, text: string | null): Body | null {
  return text === null ? null : new Body(owner, place, { kind: 'text', text });
}

/** For a bytea column. */
export function bytesBody(owner: BodyOwner, place: string, bytes: Buffer): Body {
  return new Body(owner, place, { kind: 'bytes', bytes });
}

/** For a jsonb column that no SQL looks into. `undefined` is SQL's null. */
export function jsonBody(owner: BodyOwner, place: string, value: unknown): Body | null {
  if (value === undefined) return null;
  const secret = new Secret(place, value as Json);
  return new Body(owner, place, { kind: 'json', value: secret });
}

/** For JSON that SQL looks into: only the `Secret`s in it are sealed. */
export function partlySecret(owner: BodyOwner, place: string, value: unknown): Body {
  return new Body(owner, place, { kind: 'json', value });
}

/** The object with these members secret; one that is null or missing stays as it is. */
export function secretMembers(
  place: string,
  value: object,
  secret: readonly string[],
): Record<string, unknown> {
  const members = Object.entries(value).map(([name, member]: [string, Json]) => {
    const isSecret = secret.includes(name) && (member ?? null) !== null;
    return [name, isSecret ? new Secret(place, member) : member];
  });
  return Object.fromEntries(members) as Record<string, unknown>;
}

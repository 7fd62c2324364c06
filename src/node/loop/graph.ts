import { sha256Hex, utf8 } from '../../lib/bytes.ts';

/** Names an item or a fact everywhere in the loop; an item's is `<kind> <id>`. */
export type Key = string;

/** Something that shall be there, and that one driver can bring about. */
export type Item = {
  readonly kind: string;
  readonly id: string;
  readonly spec: unknown;
  /** SHA-256 of the spec: another wish has its own tries. */
  readonly digest: string;
  /** Items and facts without which it can't be made. */
  readonly deps: readonly Key[];
  /** Facts that it is better with: told, never waited for. */
  readonly hopes: readonly Key[];
};

/** An external item: it can be depended on and never planned, so waiting explains itself. */
export type Fact = {
  readonly key: Key;
  readonly isMet: boolean;
  /** Why not yet, with numbers: `62.0 MiB of 140.0 MiB`. */
  readonly because: string;
};

/** Everything wanted, and what the wishes lean on. */
export type Graph = {
  /** Every kind there is, what is used before what uses it. */
  readonly kinds: readonly string[];
  readonly items: ReadonlyMap<Key, Item>;
  readonly facts: ReadonlyMap<Key, Fact>;
};

/** The key of an item, or of anything of its kind and id. */
export function keyOf(thing: { readonly kind: string; readonly id: string }): Key {
  return `${thing.kind} ${thing.id}`;
}

/** The kind of the thing that a key names. */
export function kindOf(key: Key): string {
  return key.slice(0, key.indexOf(' '));
}

export type Wish = Pick<Item, 'kind' | 'id' | 'spec' | 'deps'> & {
  readonly hopes?: readonly Key[];
};

/** An item from its parts; its digest is made when somebody asks, for at rest nobody does. */
export function itemOf(wish: Wish): Item {
  let digest: string | undefined;
  return {
    ...wish,
    hopes: wish.hopes ?? [],
    get digest() {
      return (digest ??= sha256Hex(utf8(JSON.stringify(wish.spec))));
    },
  };
}

/** A graph from lists; of two items with one key the first stands. */
export function graphOf(parts: {
  readonly kinds: readonly string[];
  readonly items: readonly Item[];
  readonly facts: readonly Fact[];
}): Graph {
  const items = new Map<Key, Item>();
  for (const item of parts.items) if (!items.has(keyOf(item))) items.set(keyOf(item), item);
  return {
    kinds: parts.kinds,
    items,
    facts: new Map(parts.facts.map((fact) => [fact.key, fact])),
  };
}

import {
  bundleOf,
  documentSchema,
  type IdentityBundle,
  IdentityError,
  partsOf,
} from '../../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { type Envelope, parsePayload, untrustedPayload } from '../../identity/envelope.ts';
import { type KnownLink, linksAfter, succeed } from '../../identity/succession.ts';
import { sha256Hex } from '../../lib/bytes.ts';
import { claimedOwner, followName, type Holding, verifyClaim } from '../../phonebook/name.ts';

/** An identity as the record had it after the entries so far. */
export type KnownIdentity = {
  readonly bundle: IdentityBundle;
  readonly links: readonly KnownLink[];
};

/** What the entries so far say of people and names; everything in it was recorded and checked. */
export type Book = {
  readonly identity: (id: string) => KnownIdentity | undefined;
  /** Whose document has this digest. */
  readonly ownerOf: (digest: string) => string | undefined;
  readonly holding: (name: string) => Holding | undefined;
};

/** A book that is written to; what is new is kept together with the entries that said it. */
export type OpenBook = Book & {
  readonly identities: ReadonlyMap<string, KnownIdentity>;
  readonly owners: ReadonlyMap<string, string>;
  readonly holdings: ReadonlyMap<string, Holding>;
  readonly take: (known: { id: string; identity: KnownIdentity }) => void;
  readonly hold: (holding: Holding) => void;
};

/** Writes over a book without changing it. */
export function openBook(below: Book): OpenBook {
  const identities = new Map<string, KnownIdentity>();
  const owners = new Map<string, string>();
  const holdings = new Map<string, Holding>();
  return {
    identities,
    owners,
    holdings,
    identity: (id) => identities.get(id) ?? below.identity(id),
    ownerOf: (digest) => owners.get(digest) ?? below.ownerOf(digest),
    holding: (name) => holdings.get(name) ?? below.holding(name),
    take: ({ id, identity }) => {
      identities.set(id, identity);
      for (const { digest } of identity.links) owners.set(digest, id);
    },
    hold: (holding) => void holdings.set(holding.name, holding),
  };
}

/** When something was recorded, as far as witnesses' times say: `null` where nobody looked. */
export type Span = { readonly notBeforeMs: number | null; readonly notAfterMs: number | null };

/**
 * Takes a recorded document of an identity: the first of a new one, or one that goes on from what
 * was recorded, or undoes it by right of a higher key. Throws what is wrong with it.
 */
export function takeDocument(book: OpenBook, envelope: Envelope, span: Span): void {
  const payload = untrustedPayload(envelope, 'identity');
  const document = parsePayload(payload, documentSchema);
  const previous = document.version === 1 ? null : document.previous;
  const id = previous === null ? sha256Hex(payload) : book.ownerOf(previous);
  const known = id === undefined ? undefined : book.identity(id);
  if (id === undefined || (previous !== null && known === undefined)) {
    const sentence = 'It goes on from a document that the record does not hold before it.';
    throw new IdentityError('IDENTITY_BROKEN', sentence);
  }
  const at = known?.links.findIndex(({ digest }) => digest === previous) ?? -1;
  const before = known === undefined ? [] : partsOf(known.bundle).chain.slice(0, at + 1);
  if (previous !== null && at === -1) {
    const sentence = 'It goes on from a document that was undone before.';
    throw new IdentityError('IDENTITY_FORKED', sentence);
  }
  const members = document.version === 1 ? [] : document.members;
  const bundle = bundleOf(
    [...before, envelope],
    members.map((each) => memberOf(book, each)),
  );
  const identity = verifyIdentity(bundle, id);
  const links = known?.links ?? [];
  // Late is only what is surely late: by the latest time of the one and the earliest of the other.
  const succession = succeed(links, identity, span.notBeforeMs ?? 0);
  book.take({ id, identity: { bundle, links: linksAfter(links, succession, span.notAfterMs) } });
}

function memberOf(book: Book, id: string): IdentityBundle {
  const known = book.identity(id);
  if (known !== undefined) return known.bundle;
  throw new IdentityError('MEMBERS_WRONG', 'A member of the team is not on the record before it.');
}

/** An identity by its recorded documents, a team with its members as they are now. */
export function recordedIdentity(book: Book, id: string): Identity | undefined {
  const known = book.identity(id);
  if (known === undefined) return undefined;
  const { chain, members } = partsOf(known.bundle);
  const ids = members.map((member) => verifyIdentity(member).id);
  const team = ids.map((each) => memberOf(book, each));
  return verifyIdentity(bundleOf(chain, team), id);
}

/** Takes a recorded claim of a name; throws when it takes the name from who holds it. */
export async function takeName(
  book: OpenBook,
  envelope: Envelope,
  context: { readonly grid: string; readonly identityOf: (id: string) => Promise<Identity> },
): Promise<void> {
  const owner = await context.identityOf(claimedOwner(envelope));
  const claim = verifyClaim(envelope, owner, context.grid);
  book.hold(followName(book.holding(claim.name), claim));
}

import { toBase64, utf8 } from '../../../src/lib/bytes.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import {
  bundleOf,
  type IdentityBundle,
  type LinkDocument,
  partsOf,
} from '../../../src/identity/bundle.ts';
import { signIdentity, verifyIdentity } from '../../../src/identity/document.ts';
import { type Envelope, signEnvelope, type Signer } from '../../../src/identity/envelope.ts';
import {
  changeIdentity,
  deviceOf,
  documentAt,
  undoChanges,
} from '../../../src/identity/operation.ts';
import { keysFrom, makeOwner, makeTeam } from './people.ts';

/** A bundle, and what `verifyIdentity` makes of it: an identity, or the code of a refusal. */
export type IdentityVector = {
  readonly name: string;
  readonly bundle: IdentityBundle;
  readonly expectedId?: string;
  readonly result: string;
  /** Of a good one: the public keys that count now, or the members. */
  readonly keys?: readonly string[];
};

/** What is known, what is offered, and what `succeed` makes of it: documents, or a code. */
export type SuccessionVector = {
  readonly name: string;
  readonly known: IdentityBundle;
  readonly recordedMs: number;
  readonly offered: IdentityBundle;
  readonly nowMs: number;
  readonly result: string;
};

const alice = makeOwner('alice');
const bob = makeOwner('bob');
const carol = makeOwner('carol');
const next = keysFrom('alice next');
const phone = keysFrom('phone');
const plain = signIdentity('dave', keysFrom('dave'));

const rotated = changeIdentity(
  alice.chain,
  { signingKeys: [toBase64(next.signing.publicKey)] },
  alice.keys.rotation,
);
const withPhone = changeIdentity(
  alice.chain,
  { deviceKeys: [deviceOf('phone', phone)] },
  alice.keys.rotation,
);
const withoutPhone = changeIdentity(withPhone, { deviceKeys: [] }, alice.keys.rotation);
/** By a thief of the key at hand, who wants the owner out. */
const stolen = changeIdentity(
  alice.chain,
  {
    rotationKeys: [toBase64(phone.rotation.publicKey)],
    signingKeys: [toBase64(phone.signing.publicKey)],
  },
  alice.keys.rotation,
);
const undone = undoChanges(stolen, { from: 1 }, alice.recovery);
const team = makeTeam('ops', [alice, bob, carol], 2);
const nested = makeTeam('all', [{ ...bob, id: team.id, chain: partsOf(team.bundle).chain }], 1);

function signed(change: Partial<LinkDocument>, signer: Signer): Envelope {
  return signEnvelope('identity', { ...documentAt(alice.chain, 0), ...change }, signer);
}

function keysOf(bundle: IdentityBundle): string[] {
  const { keys, members } = verifyIdentity(bundle);
  return members.length > 0 ? members.map(({ id }) => id) : keys.publicKeys.map(toBase64);
}

function good(name: string, bundle: IdentityBundle): IdentityVector {
  return { name, bundle, result: verifyIdentity(bundle).id, keys: keysOf(bundle) };
}

function bad(name: string, chain: readonly Envelope[], result: string): IdentityVector {
  return { name, bundle: { chain: [...chain] }, result };
}

/** Every bundle, the good ones first. */
export function identityVectors(): IdentityVector[] {
  return [
    good('an identity of the first form', plain),
    good('a first document', bundleOf(alice.chain)),
    good('a signing key that was replaced', bundleOf(rotated)),
    good('a device', bundleOf(withPhone)),
    good('a device that was removed', bundleOf(withoutPhone)),
    good('a change that was undone', bundleOf(undone)),
    good('a team, two of three', team.bundle),
    ...brokenChains(),
    ...wrongSigners(),
    ...wrongForms(),
  ];
}

const [first] = alice.chain as [Envelope];
const last = rotated[1] as Envelope;
const own = alice.keys.rotation;

function brokenChains(): IdentityVector[] {
  const other = bob.chain[0] as Envelope;
  const changed = { ...last, payload: toBase64(utf8(`${atob(last.payload)} `)) };
  return [
    { name: 'another id', bundle: first, expectedId: bob.id, result: 'IDENTITY_MISMATCH' },
    bad('the first document left out', [last], 'IDENTITY_BROKEN'),
    bad('documents in another order', [last, first], 'IDENTITY_BROKEN'),
    bad(
      'a document in the middle left out',
      [first, withoutPhone[2] as Envelope],
      'IDENTITY_BROKEN',
    ),
    bad('somebody else’s first document', [other, last], 'IDENTITY_BROKEN'),
    bad('a document twice', [first, last, last], 'IDENTITY_BROKEN'),
    bad('a changed document', [first, changed], 'IDENTITY_UNTRUSTED'),
    bad(
      'two signatures',
      [{ ...first, signatures: [...first.signatures, ...first.signatures] }],
      'IDENTITY_BROKEN',
    ),
    bad('an identity of the first form that changes', [plain, last], 'IDENTITY_BROKEN'),
    bad(
      'a first document with one before it',
      [signed({ previous: bob.id }, own)],
      'IDENTITY_BROKEN',
    ),
  ];
}

function wrongSigners(): IdentityVector[] {
  return [
    bad(
      'a change by a signing key',
      changeIdentity(alice.chain, {}, alice.keys.signing),
      'IDENTITY_UNTRUSTED',
    ),
    bad('a change by a device', changeIdentity(withPhone, {}, phone.signing), 'IDENTITY_UNTRUSTED'),
    bad(
      'a change by a rotation key that was taken out',
      changeIdentity(stolen, {}, alice.keys.rotation),
      'IDENTITY_UNTRUSTED',
    ),
    bad(
      'a change by a rotation key that it brings itself',
      changeIdentity(
        alice.chain,
        { rotationKeys: [toBase64(phone.rotation.publicKey)] },
        phone.rotation,
      ),
      'IDENTITY_UNTRUSTED',
    ),
    bad('a first document by a stranger', [signed({}, bob.keys.rotation)], 'IDENTITY_UNTRUSTED'),
  ];
}

function wrongForms(): IdentityVector[] {
  const { chain, members } = partsOf(team.bundle);
  return [
    bad('no signing key', [signed({ signingKeys: [] }, own)], 'ENVELOPE_MALFORMED'),
    bad('no rotation key', [signed({ rotationKeys: [] }, own)], 'ENVELOPE_MALFORMED'),
    bad('a threshold over its keys', [signed({ threshold: 2 }, own)], 'ENVELOPE_MALFORMED'),
    bad(
      'a rotation key that signs too',
      [signed({ signingKeys: [toBase64(own.publicKey)] }, own)],
      'ENVELOPE_MALFORMED',
    ),
    bad('a member and keys', [signed({ members: [bob.id] }, own)], 'ENVELOPE_MALFORMED'),
    bad('a team without its members', chain, 'MEMBERS_WRONG'),
    {
      name: 'a team with its members in another order',
      bundle: bundleOf(chain, members.toReversed()),
      result: 'IDENTITY_MISMATCH',
    },
    { name: 'a team in a team', bundle: nested.bundle, result: 'MEMBERS_WRONG' },
  ];
}

const FIRST_MS = Date.UTC(2026, 10, 21, 12);

/** Which of two chains counts; everything known was recorded at `recordedMs`. */
export function successionVectors(): SuccessionVector[] {
  const at = { recordedMs: FIRST_MS, nowMs: FIRST_MS + 72 * HOUR_MS };
  const late = { recordedMs: FIRST_MS, nowMs: FIRST_MS + 72 * HOUR_MS + 1 };
  const [first, long, thief, saved] = [alice.chain, rotated, stolen, undone].map((chain) =>
    bundleOf(chain),
  ) as [IdentityBundle, IdentityBundle, IdentityBundle, IdentityBundle];
  const further = bundleOf(changeIdentity(stolen, { name: 'mallory' }, phone.rotation));
  return [
    { name: 'the same again', known: long, offered: long, ...late, result: '+0 -0' },
    { name: 'one that goes on', known: first, offered: long, ...late, result: '+1 -0' },
    { name: 'an older one', known: long, offered: first, ...at, result: 'IDENTITY_OLD' },
    { name: 'undone after 72 hours', known: thief, offered: saved, ...at, result: '+1 -1' },
    {
      name: 'undone with all that was built on it',
      known: further,
      offered: saved,
      ...at,
      result: '+1 -2',
    },
    {
      name: 'undone a millisecond later',
      known: thief,
      offered: saved,
      ...late,
      result: 'UNDO_LATE',
    },
    {
      name: 'the thief’s again, by a lower key',
      known: saved,
      offered: thief,
      ...at,
      result: 'IDENTITY_FORKED',
    },
    {
      name: 'another by a key of the same rank',
      known: long,
      offered: thief,
      ...at,
      result: 'IDENTITY_FORKED',
    },
  ];
}

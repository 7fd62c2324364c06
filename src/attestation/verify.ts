import { sha256Hex, toHex } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { parseCertificate } from './credential.ts';
import { type BootEvent, describeEvent, measured, parseEventLog, replay } from './event-log.ts';
import {
  AttestationError,
  bytesOf,
  type Endorsement,
  type Evidence,
  type ExpectedEvent,
  type FirstStage,
  type Measurements,
  parseEvidence,
  QUOTED_PCRS,
} from './spec.ts';
import {
  type AttestationKey,
  checkQuoteSignature,
  parseAttestationKey,
  parseQuote,
  type Quote,
} from './tpm-structures.ts';

/** The checks by their numbers in the README, from 1 on. */
export const CHECKS = [
  'the evidence has its form',
  'the endorsement certificate is by a maker that the release names',
  'the key can only say what its TPM saw',
  'that TPM, and no other, holds the key: it opened our credential',
  'the quote is signed by that key',
  'the quote answers our nonce',
  'the quote is over PCR 4, 7, 11, 12, 13 and 14, and no other',
  'the values told are the values quoted',
  'PCR 12 and 13 are zero: nothing was added to the signed command line',
  'PCR 4, 7 and 11 are those of a signed release',
  'PCR 14 is made of systems and kernels of signed releases, and of nothing else',
] as const;

/** What the verifier made for this one question, and keeps to itself until the answer is there. */
export type Challenge = {
  /** What the quote has to carry, in hex: never used before. */
  readonly nonce: string;
  /** What the credential hides. */
  readonly secret: Uint8Array;
  /** Whom the credential was made for. */
  readonly endorsement: Endorsement;
};

declare const verified: unique symbol;
/** A boot that its TPM vouched for, minted in `verifyAttestation` and nowhere else. */
export type VerifiedAttestation = {
  /** The release whose first stage the firmware started. */
  readonly release: string;
  /** SHA-256 of the system that runs, and of all it was updated through, oldest first. */
  readonly systems: readonly string[];
  /** SHA-256 of the endorsement certificate: one TPM, whatever its machine is called. */
  readonly tpm: string;
} & { readonly [verified]: true };

export type AttestationWish = {
  /** As it was received. */
  readonly evidence: Uint8Array;
  readonly challenge: Challenge;
  readonly measurements: Measurements;
};

/**
 * Judges a node's evidence by the numbered checks, in their order; anybody who has the signed
 * `measurements.json` comes to the same end. Throws `AttestationError` with the number of the check
 * in `facts.check`.
 */
export function verifyAttestation(wish: AttestationWish): VerifiedAttestation {
  const { challenge, measurements } = wish;
  const evidence = check(1, () => parseEvidence(wish.evidence));
  const { endorsement, extended } = evidence;
  const tpm = check(2, () => checkEndorsement(endorsement, measurements));
  const key = check(3, () => parseAttestationKey(bytesOf(endorsement.key)));
  check(4, () => checkActivated(evidence, challenge));
  const attest = bytesOf(evidence.attest);
  check(5, () => checkQuoteSignature(attest, bytesOf(evidence.signature), key));
  const quote = check(6, () => checkNonce(attest, challenge.nonce));
  check(7, () => checkSelection(quote));
  check(8, () => checkValues(quote, evidence));
  check(9, () => checkZero(evidence));
  const { release } = check(10, () => firstStageOf(evidence, measurements));
  check(11, () => checkExtended(evidence, measurements));
  return { release, systems: extended, tpm } as unknown as VerifiedAttestation;
}

/** What a credential for this TPM needs; throws `AttestationError` as checks 2 and 3 do. */
export function verifyEndorsement(
  endorsement: Endorsement,
  measurements: Measurements,
): AttestationKey {
  check(2, () => checkEndorsement(endorsement, measurements));
  return check(3, () => parseAttestationKey(bytesOf(endorsement.key)));
}

/** Runs one check and puts its number into what it throws. */
function check<T>(number: number, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof AttestationError)) throw cause;
    const facts = { ...cause.facts, check: number };
    throw new AttestationError(cause.code, cause.message, { facts, cause });
  }
}

/** The maker's certificate may be any that the release lists; no chain is built beyond it. */
function checkEndorsement(
  { certificate }: Endorsement,
  { endorsementRoots }: Measurements,
): string {
  const der = bytesOf(certificate);
  const own = parseCertificate(der);
  const isKnown = endorsementRoots.some((root) => {
    const maker = parseCertificate(bytesOf(root));
    return own.checkIssued(maker) && own.verify(maker.publicKey);
  });
  if (isKnown) return sha256Hex(der);
  // The maker's name is whatever the node sent: as plain letters, and not many.
  const maker = own.issuer.replaceAll(/[^ -~]+/gu, ', ').slice(0, 100);
  throw new AttestationError(
    'ENDORSEMENT_UNKNOWN',
    `The TPM is by a maker that the release does not list (${maker}); have its certificate added.`,
  );
}

function checkActivated({ endorsement, activated }: Evidence, challenge: Challenge): void {
  const { certificate, key } = challenge.endorsement;
  const isSame = endorsement.certificate === certificate && endorsement.key === key;
  if (isSame && activated === sha256Hex(challenge.secret)) return;
  throw new AttestationError(
    'TPM_OTHER',
    'The key that quotes is not in the TPM of this endorsement: it was borrowed from elsewhere.',
  );
}

function checkNonce(attest: Uint8Array, nonce: string): Quote {
  const quote = parseQuote(attest);
  if (toHex(quote.nonce) === nonce) return quote;
  throw new AttestationError('NONCE_OLD', 'The quote answers another question than this one.');
}

function checkSelection({ registers }: Quote): void {
  if (registers.join() === QUOTED_PCRS.join()) return;
  throw new AttestationError(
    'PCR_SELECTION',
    `The quote is over PCR ${registers.join(', ')}, where ${QUOTED_PCRS.join(', ')} were asked.`,
  );
}

function checkValues({ digest }: Quote, { pcrs }: Evidence): void {
  const values = QUOTED_PCRS.map((register) => Buffer.from(pcrs[register], 'hex'));
  if (sha256Hex(...values) === digest) return;
  throw new AttestationError('PCR_VALUES', 'The values told are not those that the TPM quoted.');
}

function checkZero({ pcrs }: Evidence): void {
  const found = ([12, 13] as const).find((register) => !/^0+$/u.test(pcrs[register]));
  if (found === undefined) return;
  throw new AttestationError(
    'PCR_NOT_ZERO',
    `PCR ${found} is not zero: something was added to the signed first stage.`,
    { facts: { register: found } },
  );
}

const BOOT_PCRS = [4, 7, 11] as const;

function firstStageOf(evidence: Evidence, { firstStages }: Measurements): FirstStage {
  const changedIn = (stage: FirstStage) =>
    BOOT_PCRS.filter((register) => valueOf(stage, register) !== evidence.pcrs[register]);
  // The release that is nearest to what was booted is the one to compare with.
  const nearest = firstStages
    .map((stage) => ({ stage, changed: changedIn(stage) }))
    .toSorted((a, b) => a.changed.length - b.changed.length)[0];
  if (nearest === undefined) {
    const sentence = 'The release lists no first stage with Secure Boot; sign one.';
    throw new AttestationError('BOOT_CHANGED', sentence);
  }
  const [register] = nearest.changed;
  if (register === undefined) return nearest.stage;
  const expected = nearest.stage[`pcr${register}`];
  throw new AttestationError(
    'BOOT_CHANGED',
    `What booted is not ${nearest.stage.release}, by PCR ${nearest.changed.join(', ')}: ` +
      differenceIn(evidence, register, expected),
    { facts: { registers: nearest.changed } },
  );
}

function valueOf(stage: FirstStage, register: (typeof BOOT_PCRS)[number]): string {
  return replay(stage[`pcr${register}`].map(({ sha256 }) => sha256));
}

/** What the log says that went in, where it leaves what was expected. */
function differenceIn(
  { eventLog, pcrs }: Evidence,
  register: (typeof BOOT_PCRS)[number],
  expected: readonly ExpectedEvent[],
): string {
  const found = eventsOf(eventLog, register);
  if (found === undefined || replay(found.map(({ sha256 }) => sha256)) !== pcrs[register]) {
    return `its event log does not tell what went into PCR ${register}.`;
  }
  const at = found.findIndex(({ sha256 }, index) => sha256 !== expected[index]?.sha256);
  const [event, wanted] = [found[at], at === -1 ? expected[found.length] : expected[at]];
  const is = event === undefined ? 'nothing' : describeEvent(event);
  const should = wanted === undefined ? 'nothing' : `${wanted.what} ${wanted.sha256.slice(0, 16)}`;
  return `PCR ${register} has ${is} where ${should} is expected.`;
}

function eventsOf(eventLog: string, register: number): readonly BootEvent[] | undefined {
  try {
    return measured(parseEventLog(bytesOf(eventLog)).events, register);
  } catch (error) {
    if (error instanceof ZosError) return undefined;
    throw error;
  }
}

function checkExtended({ pcrs, extended }: Evidence, { kernels, systems }: Measurements): void {
  if (replay(extended) !== pcrs[14]) {
    throw new AttestationError(
      'SYSTEM_UNKNOWN',
      'PCR 14 is not made of the systems that the node tells: another ran before or beside them.',
    );
  }
  const unknown = extended.find((digest) => !systems.includes(digest) && !kernels.includes(digest));
  if (unknown === undefined && extended.length > 0) return;
  const what = unknown === undefined ? 'no system at all' : `the system ${unknown.slice(0, 16)}`;
  throw new AttestationError(
    'SYSTEM_UNKNOWN',
    `PCR 14 has ${what}, which the release does not list.`,
    { facts: { system: unknown ?? null } },
  );
}

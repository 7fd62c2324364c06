import { readText, writeDurably } from '../../host/files.ts';
import { BUNDLE_BYTES_MAX, type IdentityBundle } from '../../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { FarmError, verifyApproval, verifyJoinToken } from '../../identity/farm.ts';
import { approvalCarried, type Registered } from '../../sdk/registration.ts';
import { openTenants, type Tenants } from './tenants.ts';

/** Base64 of a bundle, and the little beside it. */
const FILE_BYTES_MAX = 2 * BUNDLE_BYTES_MAX;

/** A farmer and the one farm of theirs that a node is in. */
export type Home = { readonly farmer: Identity; readonly farm: string };

/** Whose node this is: what a farmer asks or signs counts if they are the one of its home. */
export type HomeHolder = {
  /** The same object until it changes; nothing while no farmer's word for this node is known. */
  readonly current: () => Home | undefined;
  /** Takes in the approval that came with a registration, if one did. */
  readonly hear: (said: Registered) => Promise<void>;
};

export type HomeParts = {
  /** From the boot media, unsigned: token and farmer carry their own signatures. */
  readonly token: Envelope | null;
  readonly farmer: IdentityBundle | null;
  readonly grid: string;
  readonly node: string;
  /** Where the approval is kept. */
  readonly path: string;
  readonly onBad: (what: string, error: unknown) => void;
};

/**
 * Opens it by the join token of the boot media, and that stays, whatever else is told; else by the
 * first approval that was heard. A directory in strange hands can make a node that nobody owns
 * somebody's, and never one that is somebody's somebody else's. Who can write the file can take the
 * approval away until it is heard again, and can make none.
 */
export async function openHome(parts: HomeParts): Promise<HomeHolder> {
  const { path, onBad } = parts;
  const byToken = homeByToken(parts);
  if (byToken !== undefined) return { current: () => byToken, hear: async () => undefined };
  const known = openTenants();
  let kept: string | undefined;
  let home: Home | undefined;
  try {
    if (parts.farmer !== null) known.recall(verifyIdentity(parts.farmer));
    kept = await readText(path, FILE_BYTES_MAX);
    if (kept !== undefined) home = homeByApproval(parts, known, JSON.parse(kept));
  } catch (error) {
    onBad('stored approval', error);
  }
  return {
    current: () => home,
    hear: async ({ approval }) => {
      if (approval === undefined) return;
      const told = JSON.stringify(approval);
      if (told === kept) return;
      try {
        const next = homeByApproval(parts, known, approval);
        if (home !== undefined) refuseOther(home, next);
        await writeDurably({ path, bytes: told });
        [home, kept] = [next, told];
      } catch (error) {
        onBad('approval', error);
      }
    },
  };
}

function homeByToken({ token, farmer, grid, onBad }: HomeParts): Home | undefined {
  if (token === null || farmer === null) return undefined;
  try {
    const owner = verifyIdentity(farmer);
    // Its end is about joining; the farm that it names stays this node's.
    return {
      farmer: owner,
      farm: verifyJoinToken(token, { farmer: owner, grid, nowMs: 0 }).farm,
    };
  } catch (error) {
    onBad('join token', error);
    return undefined;
  }
}

/**
 * Throws what the checks throw. Media that name a farmer let nobody else approve, and of whoever
 * does, no documents count that are older than those `known` here.
 */
function homeByApproval(
  { farmer: named, grid, node }: HomeParts,
  known: Tenants,
  told: unknown,
): Home {
  const approval = approvalCarried.parse(told);
  const owner = named === null ? undefined : verifyIdentity(named).id;
  const farmer = verifyIdentity(approval.farmer, owner);
  const word = verifyApproval(approval.word, { farmer, grid });
  if (word.node !== node) {
    throw new FarmError('FARM_FOREIGN', 'This approval names another node; approve this one.');
  }
  known.take(farmer, 0);
  return { farmer, farm: word.farm };
}

function refuseOther(home: Home, { farmer, farm }: Home): void {
  if (farmer.id !== home.farmer.id || farm !== home.farm) {
    throw new FarmError(
      'FARM_FOREIGN',
      'This node is in another farm; to move it, start it from boot media with a join token.',
    );
  }
}

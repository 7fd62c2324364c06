import { type SignedContract, verifySignedContract } from '../../contract/verify.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import { type Envelope, untrustedPayload } from '../../identity/envelope.ts';
import { sha256Hex } from '../../lib/bytes.ts';

/** What names a contract that came, also one that is none. */
export function digestOf(envelope: Envelope): string {
  try {
    return sha256Hex(untrustedPayload(envelope, 'contract'));
  } catch {
    return sha256Hex(new TextEncoder().encode(JSON.stringify(envelope)));
  }
}

/** A contract whose signatures and form hold, or nothing. */
export function signedOrNothing(
  carried: { contract: Envelope; tenant: IdentityBundle },
  grid: string,
): SignedContract | undefined {
  try {
    return verifySignedContract(carried, grid);
  } catch {
    return undefined;
  }
}

import type { AgentParts } from '../../../src/node/agent.ts';
import type { Envelope } from '../../../src/identity/envelope.ts';
import type { OwnClass } from '../../../src/node/bringup/attestation.ts';
import { openSelf } from '../../../src/node/bringup/identity.ts';
import { type OfferHolder, openOffer } from '../../../src/node/capacity/offer.ts';
import { openTerms } from '../../../src/node/capacity/terms.ts';
import { openConsents } from '../../../src/node/disks/consents.ts';
import { openHome } from '../../../src/node/identity/home.ts';
import { openPolicy } from '../../../src/node/turns/policy.ts';
import { GRID, PRICES } from '../contracts.ts';
import { CAPACITY, type Farmer } from '../identity/farm.ts';

export const NO_TPM: Pick<OwnClass, 'class' | 'endorsement' | 'attest'> = {
  class: 'unverified',
  endorsement: null,
  attest: async () => {
    throw new Error('This machine has no TPM.');
  },
};

type OwnWish = {
  readonly own?: typeof NO_TPM;
  readonly folder: string;
  readonly token: Envelope | null;
  readonly farmer: Farmer;
  readonly lines: string[];
  readonly directory: { readonly clock: { readonly nowMs: number } };
};

/** Who a node of tests is, whose, and what it offers: all of it kept in a folder. */
export type Own = Pick<AgentParts, 'self' | 'home' | 'terms' | 'policy' | 'takeConsents'> & {
  readonly offer: OfferHolder;
};

/** Opens it as the agent of a machine does. */
export async function openOwn(wish: OwnWish): Promise<Own> {
  const { own = NO_TPM, folder, token, farmer, lines } = wish;
  const self = await openSelf(`${folder}/node`);
  const onBad = (what: string, error: unknown): void =>
    void lines.push(`refused ${what}: ${String(error)}`);
  const node = self.identity.id;
  const at = { grid: GRID, node, path: `${folder}/approval.json` };
  const home = await openHome({ token, farmer: farmer.document, ...at, onBad });
  const words = { grid: GRID, home, onBad };
  const terms = await openTerms({ ...words, path: `${folder}/farm-terms.json` });
  const content = {
    grid: GRID,
    node,
    capacity: CAPACITY,
    class: own.class,
    endorsement: own.endorsement,
    features: [],
    hardware: { board: 'test', processor: 'test', networkCards: [], disks: [] },
  };
  const path = `${folder}/offer.json`;
  const parts = { path, self: self.identity, signer: self.keys.signing, content };
  return {
    self,
    home,
    terms,
    policy: await openPolicy({ ...words, path: `${folder}/update-policy.json` }),
    offer: await openOffer(parts, terms.current() ?? { version: 0, prices: PRICES }),
    takeConsents: openConsents({
      grid: GRID,
      home,
      node,
      folder,
      nowMs: () => wish.directory.clock.nowMs,
      say: (line) => void lines.push(line),
      onTaken: () => undefined,
    }),
  };
}

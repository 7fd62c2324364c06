import type { z } from 'zod';
import type { IdentityBundle } from '../../identity/bundle.ts';
import type { Envelope } from '../../identity/envelope.ts';
import * as api from '../api.ts';
import { registrationAnswer } from '../registration.ts';
import { type Calls, type PageWish, queryOf } from '../calls.ts';

/** What a node shall have free, and be; `features` are names with commas between. */
export type CapacityQuery = PageWish & {
  readonly [Name in Exclude<keyof z.input<typeof api.capacityQuery>, keyof PageWish>]?:
    | string
    | number
    | undefined;
};

/** The calls about farms and what their nodes have to give. */
export function farmCalls({ get, post }: Calls) {
  return {
    createFarm: async (body: { farm: Envelope; farmer: IdentityBundle }) =>
      post('/v1/farms', body, api.idAnswer),
    farms: async (page: PageWish = {}) => get(`/v1/farms${queryOf(page)}`, api.farmsAnswer),
    farm: async (id: string) => get(`/v1/farms/${id}`, api.farmAnswer),
    putTerms: async (farm: string, terms: Envelope) =>
      post(`/v1/farms/${farm}/terms`, terms, api.idAnswer),
    approveNode: async (node: string, approval: Envelope) =>
      post(`/v1/nodes/${node}/approval`, approval, registrationAnswer),
    putDiskConsent: async (farm: string, consent: Envelope) =>
      post(`/v1/farms/${farm}/disks`, consent, api.idAnswer),
    putUpdatePolicy: async (farm: string, policy: Envelope) =>
      post(`/v1/farms/${farm}/policy`, policy, api.idAnswer),
    updates: async (farm: string) => get(`/v1/farms/${farm}/updates`, api.updatesAnswer),
    /** The joined nodes that have what is asked for. */
    capacity: async (wish: CapacityQuery = {}) =>
      get(`/v1/capacity${queryOf(wish)}`, api.nodesAnswer),
  };
}

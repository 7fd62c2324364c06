import { ZosError } from '../../lib/errors.ts';

/** Why a contract, or what is said of one, is refused. */
export class ContractError extends ZosError<
  | 'TENANT_MISMATCH'
  | 'GRID_FOREIGN'
  | 'NODE_FOREIGN'
  | 'NOT_RECORDED'
  | 'CONTRACT_CANCELLED'
  | 'CONTRACT_UNKNOWN'
  | 'VERSION_OLD'
  | 'VERSION_FORKED'
  | 'VERSION_GAP'
  | 'TOO_EARLY'
  | 'EXPIRED'
  | 'OFFER_STALE'
  | 'PRICE_OTHER'
  | 'NO_ROOM'
  | 'CLASS_TOO_LOW'
  | 'VOLUME_CHANGED'
> {}

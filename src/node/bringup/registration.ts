import type { Envelope } from '../../identity/envelope.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { ZosError } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import type { Troubles } from '../health/troubles.ts';
import type { NodeBody } from '../../sdk/index.ts';
import type { Registered } from '../../sdk/registration.ts';
import { type Directory, keepTrying, type Patience } from './directory.ts';

export class JoinError extends ZosError<'NOT_APPROVED'> {}

/** A clock that is right to so much is left alone. */
const CLOCK_OFF_MS_MAX = SECOND_MS;

/** Who the directory is, proven by the id that came with the signed release. */
export async function meetDirectory(
  parts: { readonly directory: Directory; readonly id: string; readonly patience: Patience },
  signal: AbortSignal,
): Promise<{ readonly identity: Identity; readonly document: Envelope }> {
  const { directory, id, patience } = parts;
  const meet = async () => {
    const { directory: document } = await directory.call(async (client) => client.grid());
    return { identity: verifyIdentity(document, id), document };
  };
  const what = (): string => `directory ${directory.url()}`;
  return keepTrying(meet, { what, patience }, signal);
}

export type ClockParts = {
  readonly directory: Directory;
  readonly identity: Identity;
  readonly grid: string;
  readonly patience: Patience;
  readonly troubles: Pick<Troubles, 'set'>;
  readonly clock: () => number;
  readonly nonce: () => string;
  readonly setClock: (nowMs: number) => Promise<void>;
};

/**
 * Sets the clock by the directory's word, signed for a nonce of ours: whoever is on the way can
 * neither change it nor play an old one. Returns by how much the clock was off.
 */
export async function syncClock(parts: ClockParts, signal: AbortSignal): Promise<number> {
  const { directory, identity, grid, patience, clock, setClock } = parts;
  const ask = async (): Promise<number> => {
    const nonce = parts.nonce();
    const askedAtMs = clock();
    const wish = { grid, directory: identity, nonce };
    const toldMs = await directory.call(async (client) => client.time(wish));
    const nowMs = clock();
    const offMs = toldMs + (nowMs - askedAtMs) / 2 - nowMs;
    if (Math.abs(offMs) > CLOCK_OFF_MS_MAX) await setClock(clock() + offMs);
    return offMs;
  };
  const what = (): string => `the time from directory ${directory.url()}`;
  const waits: Patience['waits'] = (key, waited) => {
    patience.waits(key, waited);
    const why = `The clock is not proven: waits for ${waited ?? ''}`;
    parts.troubles.set('CLOCK_UNSURE', waited === null ? null : why);
  };
  return keepTrying(ask, { what, patience: { ...patience, waits } }, signal);
}

/** What the directory says of a node that has joined. */
export type Joined = Registered & { readonly farm: string };

/** Registers until the directory says that this node has joined a farm. */
export async function register(
  parts: { readonly directory: Directory; readonly body: NodeBody; readonly patience: Patience },
  signal: AbortSignal,
): Promise<Joined> {
  const { directory, body, patience } = parts;
  const join = async (): Promise<Joined> => {
    const said = await directory.call(async (client) => client.registerNode(body));
    const { state, farm } = said;
    if (state === 'joined' && farm !== null) return { ...said, farm };
    throw new JoinError('NOT_APPROVED', 'The farmer has not approved this node yet.');
  };
  const what = (): string => `directory ${directory.url()} to register`;
  return keepTrying(join, { what, patience }, signal);
}

import { lookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { callbackify } from 'node:util';
import { ZosError } from '../../lib/errors.ts';

export class NameError extends ZosError<'NAME_UNANSWERED' | 'NAME_UNKNOWN'> {}

/** As `net.connect` takes one; always answers all addresses. */
export type Lookup = (
  name: string,
  options: LookupOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export type NamesWish = {
  /** Addresses, asked all at once; without any, the machine's own settings count. */
  readonly nameServers: readonly string[];
  readonly tryMs?: number;
};

/** The time of a question, and how often it is asked: together less than connecting may take. */
const TRY_MS = 1500;
const TRIES = 2;
/** How long the second family's answer is waited for after the first's (RFC 8305, section 3). */
const RESOLUTION_DELAY_MS = 50;
/** A node knows a handful of names. */
const KEPT_MAX = 256;

/** That there is no such name, or no such address of it; anything else is a server's failure. */
const NO_SUCH = new Set(['ENOTFOUND', 'ENODATA']);

/**
 * Looks names up by asking the servers itself, each with a deadline. The C library would wait 5
 * seconds for each, on one of the four threads that all reading of files waits for too. What was
 * found last is used again while no server answers (RFC 8767): a name proves nothing here anyway,
 * so whoever answers in a server's place can only keep a machine from reaching out.
 */
export function openNames(wish: NamesWish): Lookup {
  const { nameServers, tryMs = TRY_MS } = wish;
  if (nameServers.length === 0) return lookupBySystem;
  const resolvers = nameServers.map((server) => resolverOf(server, tryMs));
  const kept = new Map<string, LookupAddress[]>();
  const look = async (name: string): Promise<LookupAddress[]> => {
    const found = await askBoth(resolvers, name);
    if (typeof found === 'string') {
      if (NO_SUCH.has(found)) throw unknown(name);
      const before = kept.get(name);
      if (before === undefined) throw unanswered(name, nameServers);
      return before;
    }
    kept.delete(name);
    kept.set(name, found);
    for (const oldest of [...kept.keys()].slice(0, -KEPT_MAX)) kept.delete(oldest);
    return found;
  };
  const answer = callbackify(look);
  return (name, options, done) => {
    if (name === 'localhost') return lookupBySystem(name, options, done);
    return answer(name, done);
  };
}

const lookupBySystem: Lookup = (name, options, done) => {
  lookup(name, { ...options, all: true }, done);
};

/** One by itself: Node's takes the first answer of several, also one that is a refusal. */
function resolverOf(server: string, tryMs: number): Resolver {
  const resolver = new Resolver({ timeout: tryMs, tries: 1, maxTimeout: tryMs });
  resolver.setServers([server]);
  return resolver;
}

/** What the first server that knows says, or the code of why there is nothing. */
async function askAll(
  resolvers: readonly Resolver[],
  name: string,
  family: 4 | 6,
): Promise<LookupAddress[] | string> {
  const codes: string[] = [];
  const ask = async (resolver: Resolver): Promise<LookupAddress[]> => {
    try {
      const all = family === 6 ? await resolver.resolve6(name) : await resolver.resolve4(name);
      return all.map((address) => ({ address, family }));
    } catch (error) {
      codes.push(error instanceof Error && 'code' in error ? String(error.code) : 'EUNKNOWN');
      throw error;
    }
  };
  for (let round = 0; round < TRIES; round += 1) {
    try {
      return await Promise.any(resolvers.map(ask));
    } catch {
      const noSuch = codes.find((code) => NO_SUCH.has(code));
      if (noSuch !== undefined) return noSuch;
    }
  }
  return codes.at(-1) ?? 'EUNKNOWN';
}

/** The addresses of both families, or the code of why there are none. */
async function askBoth(
  resolvers: readonly Resolver[],
  name: string,
): Promise<LookupAddress[] | string> {
  const both = [askAll(resolvers, name, 6), askAll(resolvers, name, 4)] as const;
  const other = async (mine: 0 | 1): Promise<LookupAddress[]> => {
    const theirs = await Promise.race([both[1 - mine], sleep(RESOLUTION_DELAY_MS, '')]);
    return typeof theirs === 'string' || theirs === undefined ? [] : theirs;
  };
  const whole = async (mine: 0 | 1): Promise<LookupAddress[]> => {
    const own = await both[mine];
    if (typeof own === 'string' || own.length === 0) throw new Error('not by this family');
    const theirs = await other(mine);
    return mine === 0 ? [...own, ...theirs] : [...theirs, ...own];
  };
  try {
    return await Promise.any([whole(0), whole(1)]);
  } catch {
    const codes = (await Promise.all(both)).filter((code) => typeof code === 'string');
    return codes.find((code) => !NO_SUCH.has(code)) ?? 'ENODATA';
  }
}

function unanswered(name: string, nameServers: readonly string[]): NameError {
  const servers = nameServers.join(', ');
  return new NameError(
    'NAME_UNANSWERED',
    `No DNS server answers for ${name} (asked ${servers}); check them, or name others.`,
    { facts: { name } },
  );
}

function unknown(name: string): NameError {
  return new NameError('NAME_UNKNOWN', `DNS knows no address of ${name}.`, { facts: { name } });
}

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bundleOf } from '../../src/identity/bundle.ts';
import { verifyIdentity } from '../../src/identity/document.ts';
import type { Envelope } from '../../src/identity/envelope.ts';
import { changeIdentity } from '../../src/identity/operation.ts';
import { type KnownLink, linksAfter, succeed, UNDO_MS_MAX } from '../../src/identity/succession.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { makeOwner } from '../support/identity/people.ts';
import { successionVectors } from '../support/identity/vectors.ts';

const alice = makeOwner('alice');

test('the vectors of successions are what they always were', async () => {
  const text = `${JSON.stringify(successionVectors(), null, 1)}\n`;
  await expect(text).toMatchFileSnapshot('../vectors/identity-succession.json');
});

test.each(successionVectors())('$name', ({ known, recordedMs, offered, nowMs, result }) => {
  const links = verifyIdentity(known).chain.map((link) => ({ ...link, atMs: recordedMs }));
  expect(outcome(links, verifyIdentity(offered), nowMs)).toBe(result);
});

function outcome(
  known: readonly KnownLink[],
  offered: Parameters<typeof succeed>[1],
  nowMs: number,
): string {
  try {
    const { added, undone } = succeed(known, offered, nowMs);
    return `+${added.length} -${undone.length}`;
  } catch (error) {
    return codeOf(error);
  }
}

/** Every chain of up to three changes, each signed by one of the two rotation keys. */
function allChains(): Envelope[][] {
  const signers = [alice.recovery, alice.keys.rotation];
  let chains: Envelope[][] = [[...alice.chain]];
  const all = [...chains];
  for (let length = 0; length < 3; length += 1) {
    chains = chains.flatMap((chain) =>
      signers.map((signer, rank) => changeIdentity(chain, { name: `by-${rank}` }, signer)),
    );
    all.push(...chains);
  }
  return all;
}

const chains = allChains().map((chain) => verifyIdentity(bundleOf(chain)));

test('in whatever order chains are heard, those who hear them all agree in the end', () => {
  const heard = (order: readonly (typeof chains)[number][]): string => {
    let known: KnownLink[] = [];
    for (const offered of order) {
      try {
        known = linksAfter(known, succeed(known, offered, 1), 0);
      } catch (error) {
        expect(['IDENTITY_OLD', 'IDENTITY_FORKED']).toContain(codeOf(error));
      }
    }
    return known.map(({ digest }) => digest).join(' ');
  };
  // The chain that a higher key signed wherever they part, and the longest of those.
  const best = heard(chains.filter(({ chain }) => chain.slice(1).every(({ rank }) => rank === 0)));
  const orders = fc.shuffledSubarray(chains, { minLength: chains.length });
  fc.assert(
    fc.property(orders, (order) => {
      expect(heard(order)).toBe(best);
    }),
  );
});

test('after 72 hours nothing that is known changes, whoever signed', () => {
  const late = UNDO_MS_MAX + 1;
  fc.assert(
    fc.property(fc.constantFrom(...chains), fc.constantFrom(...chains), (held, offered) => {
      const known = held.chain.map((link) => ({ ...link, atMs: 0 }));
      const said = outcome(known, offered, late);
      const isSame = known.every(({ digest }, at) => offered.chain[at]?.digest === digest);
      expect(said.startsWith('+')).toBe(isSame);
      if (isSame) expect(said.endsWith('-0')).toBe(true);
    }),
  );
});

test('what is undone takes its place and its time from the change that undid it', () => {
  const [first, low, high] = [
    chains[0],
    ...[1, 0].map((rank) =>
      chains.find(({ chain }) => chain.length === 2 && chain[1]?.rank === rank),
    ),
  ];
  if (first === undefined || low === undefined || high === undefined) throw new Error('three');
  const known = linksAfter([], succeed([], low, 5), 5);
  const after = linksAfter(known, succeed(known, high, 9), 9);
  expect(after.map(({ atMs }) => atMs)).toEqual([5, 9]);
  expect(after.at(-1)?.digest).toBe(high.chain.at(-1)?.digest);
});

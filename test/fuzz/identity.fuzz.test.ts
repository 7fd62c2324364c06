import { expect, test } from 'vitest';
import { bundleOf, bundleSchema, documentSchema } from '../../src/identity/bundle.ts';
import { verifyIdentity } from '../../src/identity/document.ts';
import { EnvelopeError, parsePayload, untrustedPayload } from '../../src/identity/envelope.ts';
import { changeIdentity, deviceOf } from '../../src/identity/operation.ts';
import { utf8 } from '../../src/lib/bytes.ts';
import { parseStrictJson } from '../../src/lib/strict-json.ts';
import { fuzz } from '../support/fuzz.ts';
import { keysFrom, makeOwner, makeTeam } from '../support/identity/people.ts';
import { SHARES } from './shares.ts';

const [alice, bob] = [makeOwner('alice'), makeOwner('bob')];
const chain = changeIdentity(
  alice.chain,
  { deviceKeys: [deviceOf('phone', keysFrom('phone'))] },
  alice.keys.rotation,
);

/** As a directory and a node read it. */
function parseIdentity(bytes: Uint8Array): void {
  const value = parseStrictJson(bytes, { bytesMax: 1_000_000, depthMax: 8 });
  const parsed = bundleSchema.safeParse(value);
  if (!parsed.success) throw new EnvelopeError('ENVELOPE_MALFORMED', 'This is no identity.');
  verifyIdentity(parsed.data);
}

test('identities', async () => {
  const bundles = [bundleOf(alice.chain), bundleOf(chain), makeTeam('ops', [alice, bob], 2).bundle];
  const seeds = bundles.map((bundle) => utf8(JSON.stringify(bundle)));
  const cases = SHARES.identity;
  expect(await fuzz({ name: 'identity', cases, seeds, parse: parseIdentity })).toBeGreaterThan(0);
});

test('documents of identities', async () => {
  const seeds = chain.map((envelope) => untrustedPayload(envelope, 'identity'));
  const parse = (bytes: Uint8Array): unknown => parsePayload(bytes, documentSchema);
  const cases = SHARES.identityDocument;
  expect(await fuzz({ name: 'document', cases, seeds, parse })).toBeGreaterThan(0);
});

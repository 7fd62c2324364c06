import { expect, test } from 'vitest';
import { noteKeyOf } from '../../src/record/note.ts';
import { parseCosignRequest, planCosign, type WatchedLog } from '../../src/record/witness.ts';
import { fuzz } from '../support/fuzz.ts';
import { historyOf } from '../support/record/log.ts';
import { LOG } from '../support/record/signers.ts';
import { SHARES } from './shares.ts';

const history = historyOf();
const watched: WatchedLog = {
  keys: [noteKeyOf(LOG.name, 'ed25519', LOG.publicKey)],
  latest: history.headOf(7),
};

test('what strangers send to a witness', async () => {
  const accepted = await fuzz({
    name: 'a request for a cosignature',
    cases: SHARES.cosignRequest,
    seeds: [history.body(7, 300), history.body(7, 8), history.body(7, 7)],
    parse: (bytes) =>
      planCosign(parseCosignRequest(bytes), (origin) =>
        origin === LOG.name ? watched : undefined,
      ),
  });
  expect(accepted).toBeGreaterThan(0);
});

import { expect, test } from 'vitest';
import type { Meter } from '../../src/capacity/use/meter.ts';
import { parsePayload, untrustedPayload } from '../../src/identity/envelope.ts';
import { receiptSchema } from '../../src/contract/receipt.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { HOUR_MS } from '../../src/lib/units.ts';
import { makePerson, NOW_MS } from '../support/contracts.ts';
import { joinNode, openDirectory } from '../support/directory.ts';
import { contractFor, makeFarmer, makeReceipt } from '../support/identity/farm.ts';

const METER: Meter = {
  sinceMs: NOW_MS,
  untilMs: NOW_MS + HOUR_MS,
  cpuMs: 5000,
  memoryMibSeconds: 230_400,
  storageMibSeconds: 28_800,
  receivedBytes: 10,
  sentBytes: 20,
};

test('what a node said once that a contract used, it never takes back', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const { client } = directory;
  const { id } = await client.submitContract(contractFor(makePerson('tenant'), node));
  let seq = 0;
  const tell = async (meter: Meter | undefined): Promise<string> => {
    seq += 1;
    const said = { seq, state: 'running' as const, ...(meter === undefined ? {} : { meter }) };
    return client.putReceipt(makeReceipt(node, id, said)).then(() => 'taken', codeOf);
  };
  const shown = async (): Promise<Meter | undefined> => {
    const { receipts } = await client.contract(id);
    const [latest] = receipts.map((receipt) => untrustedPayload(receipt, 'receipt'));
    return latest === undefined ? undefined : parsePayload(latest, receiptSchema).meter;
  };
  expect(await tell(undefined)).toBe('taken');
  expect(await tell(METER)).toBe('taken');
  expect(await tell({ ...METER, cpuMs: 4999 })).toBe('METER_BACKWARD');
  expect(await tell({ ...METER, sinceMs: NOW_MS + 1 })).toBe('METER_BACKWARD');
  expect(await shown()).toEqual(METER);
  // Words without a meter are no way around it.
  expect(await tell(undefined)).toBe('taken');
  expect(await tell({ ...METER, sentBytes: 19 })).toBe('METER_BACKWARD');
  const more = { ...METER, untilMs: METER.untilMs + 1, cpuMs: 6000 };
  expect(await tell(more)).toBe('taken');
  // A node that lost its count begins another, which overlaps with nothing that was told.
  const lost = { ...METER, sinceMs: more.untilMs, untilMs: more.untilMs + 1, cpuMs: 3 };
  expect(await tell(lost)).toBe('taken');
  expect(await shown()).toEqual(lost);
});

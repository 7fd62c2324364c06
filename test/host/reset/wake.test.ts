import { expect, test } from 'vitest';
import { magicPacket } from '../../../src/host/reset/wake.ts';

test('the packet is the one that cards know: 102 bytes, six of 255, the address sixteen times', () => {
  const packet = magicPacket('52:54:00:5a:00:01');
  expect(packet).toHaveLength(102);
  expect([...packet.subarray(0, 6)]).toEqual([255, 255, 255, 255, 255, 255]);
  for (let at = 6; at < 102; at += 6) {
    expect([...packet.subarray(at, at + 6)]).toEqual([0x52, 0x54, 0, 0x5a, 0, 1]);
  }
  expect(() => magicPacket('52:54:00')).toThrow(/no address of a card/u);
  expect(() => magicPacket('52:54:00:5a:00:zz')).toThrow(/no address of a card/u);
});

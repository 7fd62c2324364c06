import { expect, test } from 'vitest';
import { parseWish } from '../../../boot/start/arguments.ts';

test('without arguments the nodes are in QEMU', () => {
  expect(parseWish([])).toEqual({
    isHelp: false,
    isOnce: false,
    isVirtual: true,
    interfaceName: undefined,
    isProxyDhcp: false,
  });
});

test('real servers are on a wire that is named', () => {
  const args = ['--interface', 'eth1', '--no-vm', '--proxy-dhcp'];
  expect(parseWish(args)).toMatchObject({
    isVirtual: false,
    interfaceName: 'eth1',
    isProxyDhcp: true,
  });
});

const REFUSED: readonly (readonly [readonly string[], string])[] = [
  [['--no-vm'], '--interface and --no-vm belong together'],
  [['--interface', 'eth1'], '--interface and --no-vm belong together'],
  [['--proxy-dhcp'], '--proxy-dhcp is for real servers'],
  [['--fly'], "Unknown option '--fly'; npm start -- --help shows all options."],
  [['fly'], "Unexpected argument 'fly'"],
  [['--once=yes'], '--once'],
];

test.for(REFUSED)('the arguments %j end with a sentence', ([args, sentence]) => {
  expect(() => parseWish(args)).toThrow(sentence);
});

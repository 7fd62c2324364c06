import { expect, test } from 'vitest';
import {
  aliasKey,
  filesOf,
  matchesAlias,
  type ModuleIndex,
  modulesFor,
} from '../../src/lib/modalias.ts';

const PATTERNS: readonly [pattern: string, module: string][] = [
  ['virtio:d00000001v*', 'virtio_net'],
  ['pci:v00008086d000010D3sv*sd*bc*sc*i*', 'e1000e'],
  ['pci:v*d*sv*sd*bc01sc08i02*', 'nvme'],
  ['acpi*:IPI0001:*', 'ipmi_si'],
];

const INDEX: ModuleIndex = {
  release: '6.12.0',
  modules: {
    failover: { path: '/m/failover.ko.xz', needs: [] },
    net_failover: { path: '/m/net_failover.ko.xz', needs: ['failover'] },
    virtio_net: { path: '/m/virtio_net.ko.xz', needs: ['failover', 'net_failover'] },
    e1000e: { path: '/m/e1000e.ko.xz', needs: [] },
    nvme: { path: '/m/nvme.ko.xz', needs: [] },
    ipmi_si: { path: '/m/ipmi_si.ko.xz', needs: [] },
  },
  aliases: Object.fromEntries(
    PATTERNS.map(([pattern, module]) => [aliasKey(pattern), [[pattern, module]]]),
  ),
};

test.for([
  ['virtio:d00000001v00001AF4', ['failover', 'net_failover', 'virtio_net']],
  ['pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00', ['e1000e']],
  ['pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02', ['nvme']],
  ['acpi:IPI0001:', ['ipmi_si']],
  ['pci:v00008086d0000FFFFsv00008086sd00000000bc02sc00i00', []],
] as const)('%s is driven by %j', ([modalias, modules]) => {
  const files = modules.map((name) => `/m/${name}.ko.xz`);
  expect(modulesFor(INDEX, modalias)).toEqual(files);
});

test('each file is loaded once, what it needs first', () => {
  expect(filesOf(INDEX, ['net_failover', 'virtio_net', 'unknown'])).toEqual([
    '/m/failover.ko.xz',
    '/m/net_failover.ko.xz',
    '/m/virtio_net.ko.xz',
  ]);
});

test('a pattern is no regular expression', () => {
  expect(matchesAlias('of:N*T*C(x)', 'of:NaTbC(x)')).toBe(true);
  expect(matchesAlias('of:N.T', 'of:NxT')).toBe(false);
});

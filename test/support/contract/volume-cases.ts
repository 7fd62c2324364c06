import { encodeBody, sealVolumeKey, volumeSecretKey } from '../../../src/contract/checks/body.ts';
import type { Contract, Workload } from '../../../src/contract/spec.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { MiB } from '../../../src/lib/units.ts';
import { VOLUME_HEADER_BYTES } from '../../../src/volume/spec.ts';
import { GRID, NODE_ID } from '../contracts.ts';
import { envelopeOf, keysOf } from './parts.ts';
import type { Vector } from './vector.ts';
import {
  type Case,
  digestOf,
  FIRST,
  NODE,
  NODE_KEYS,
  signed,
  TENANT,
  vectorOf,
} from './vectors.ts';

type Volume = Workload & { readonly kind: 'volume' };

const DATA: Volume = {
  kind: 'volume',
  name: 'data',
  class: 'hdd',
  format: 'ext4',
  lengthBytes: 64 * MiB,
};

/** The key of a volume, sealed for the node and the name that are given. */
function bodyFor(recipient = NODE_KEYS, name = DATA.name, binding = name) {
  const sealed = sealVolumeKey({
    grid: GRID,
    tenant: TENANT.id,
    node: NODE_ID,
    name: binding,
    recipientKey: recipient.sealing.publicKey,
    value: utf8('k'.repeat(64)),
    sealerSecret: TENANT.keys.sealing.secretKey,
  });
  return encodeBody({ salt: '5a'.repeat(32), secrets: { [volumeSecretKey(name)]: sealed } });
}

const BODY = bodyFor();

/** A contract whose container has volumes at these places. */
function having(
  volumes: readonly Volume[],
  paths: readonly { readonly volume: string; readonly path: string }[],
  over: Partial<Contract> = {},
): Partial<Contract> {
  const workloads = FIRST.workloads.map((workload) =>
    workload.kind === 'container' ? { ...workload, volumes: [...paths] } : workload,
  );
  const hddBytes = volumes.reduce((sum, it) => sum + it.lengthBytes + VOLUME_HEADER_BYTES, 0);
  return {
    workloads: [...volumes, ...workloads],
    resources: { ...FIRST.resources, hddBytes },
    body: BODY.digest,
    ...over,
  };
}

const AT = [{ volume: 'data', path: '/run/data' }];
const NODE_WITH_DISK = { total: { ...NODE.total, hddBytes: 1024 * MiB } };
const GOOD = having([DATA], AT);

/** Checks 4, 10, 13 and 15, of contracts with volumes. */
export function volumeVectors(): Vector[] {
  const cases: Readonly<Record<number, Readonly<Record<string, Case>>>> = {
    4: formCases(),
    10: growthCases(),
    13: {
      'volume-fits': good(GOOD),
      'no-rotating-storage': { ...good(GOOD), node: {}, expect: 'NO_ROOM' },
    },
    15: keyCases(),
  };
  return Object.entries(cases).flatMap(([check, rows]) =>
    Object.entries(rows).map(([reason, given]) => vectorOf(Number(check), reason, given)),
  );
}

function good(contract: Partial<Contract>): Case {
  return { contract: signed(contract), body: BODY.text, node: NODE_WITH_DISK };
}

function formCases(): Record<string, Case> {
  const bad = (contract: Partial<Contract>): Case => ({
    // As no honest signer makes it.
    contract: envelopeOf(utf8(JSON.stringify({ ...FIRST, ...contract })), [TENANT.keys.signing]),
    body: BODY.text,
    node: NODE_WITH_DISK,
    expect: 'ENVELOPE_MALFORMED',
  });
  const raw = { ...DATA, format: 'raw' } as const;
  const other = { ...DATA, name: 'other' };
  return {
    'volume-in-a-container': good(GOOD),
    'raw-volume-in-a-container': good(having([raw], [{ volume: 'data', path: '/dev/data' }])),
    'volume-that-is-not-there': bad(having([DATA], [{ volume: 'none', path: '/run/data' }])),
    'raw-volume-as-a-folder': bad(having([raw], AT)),
    'volume-over-the-processes': bad(having([DATA], [{ volume: 'data', path: '/proc/1' }])),
    'volume-by-a-way-around': bad(having([DATA], [{ volume: 'data', path: '/run/../proc' }])),
    'volume-inside-of-another': bad(
      having([DATA, other], [...AT, { volume: 'other', path: '/run/data/in' }]),
    ),
    'volume-too-short-for-its-format': bad(having([{ ...DATA, format: 'xfs' }], AT)),
    'volume-without-a-key': bad({ ...GOOD, body: null }),
    'volume-that-nothing-reserves': bad({ ...GOOD, resources: FIRST.resources }),
  };
}

function growthCases(): Record<string, Case> {
  const first = signed(GOOD);
  const digest = digestOf(first);
  const held = { tenant: TENANT.id, version: 1, digest, workloads: GOOD.workloads ?? [] };
  const next = (volume: Volume): Case => ({
    contract: signed({ ...having([volume], AT), id: digest, version: 2, previous: digest }),
    body: BODY.text,
    node: { ...NODE_WITH_DISK, held },
  });
  const expect = 'VOLUME_CHANGED';
  return {
    'volume-that-grew': next({ ...DATA, lengthBytes: 65 * MiB }),
    'volume-that-shrank': { ...next({ ...DATA, lengthBytes: 63 * MiB }), expect },
    'volume-of-another-format': {
      ...next({ ...DATA, format: 'btrfs', lengthBytes: 256 * MiB }),
      expect,
    },
  };
}

function keyCases(): Record<string, Case> {
  const naming = ({ text, digest }: typeof BODY): Case => ({
    ...good({ ...GOOD, body: digest }),
    body: text,
  });
  const foreign = { expect: 'SECRET_FOREIGN' };
  return {
    'volume-key-for-this-node': naming(BODY),
    'volume-key-for-another-node': { ...naming(bodyFor(keysOf('other'))), ...foreign },
    'volume-key-of-another-volume': {
      ...naming(bodyFor(NODE_KEYS, DATA.name, 'other')),
      ...foreign,
    },
    'volume-key-left-out': { ...naming(bodyFor(NODE_KEYS, 'other')), ...foreign },
  };
}

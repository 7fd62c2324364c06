import { listDisks, readBootBlock, writeBootBlock } from '../../host/disk.ts';
import { openTpm, type Tpm } from '../../host/tpm/device.ts';
import {
  defineBytes,
  defineCounter,
  incrementCounter,
  readCounter,
  readNv,
  writeNv,
} from '../../host/tpm/nv.ts';
import { codeOf } from '../../lib/errors.ts';
import { toHex } from '../../lib/bytes.ts';
import {
  decodeFloor,
  encodeFloor,
  type Floor,
  FLOOR_BYTES,
  higherFloor,
  type Remembered,
} from './floor.ts';

/** In the range that owners of TPMs define for themselves (TCG registry of reserved handles). */
const COUNTER_INDEX = 0x01500001;
const BASE_INDEX = 0x01500002;
const BASE_BYTES = 48;
/** A counter moves by ones, and wears out: it follows a long way in several boots. */
const INCREMENTS_MAX = 256;

/**
 * What this machine remembers: on each of its disks, and in its TPM. Whoever can write there can
 * make it forget, one by one; the directory's answer is what no one at the machine can change.
 */
export async function readFloors(wish: {
  /** A disk or a TPM that could not be read: it remembers nothing. */
  readonly onTrouble: (by: string, error: unknown) => void;
  readonly tpmPath?: string;
}): Promise<Remembered[]> {
  const disks = await listDisks().catch(() => []);
  const found = await Promise.all(
    disks.map(async ({ path }): Promise<Remembered[]> => {
      const by = `the disk ${path}`;
      try {
        const floor = decodeFloor(await readBootBlock(path, FLOOR_BYTES));
        return floor === undefined ? [] : [{ floor, by }];
      } catch (error) {
        wish.onTrouble(by, error);
        return [];
      }
    }),
  );
  const by = 'the TPM of this machine';
  const inTpm = await withTpm(wish.tpmPath, readTpmFloor).catch((error: unknown) => {
    wish.onTrouble(by, error);
    return undefined;
  });
  const own = inTpm === undefined ? [] : [{ floor: inTpm, by }];
  return [...found.flat(), ...own];
}

/** Remembers what a boot took, on the data disk and in the TPM; lower than before never counts. */
export async function keepFloor(wish: {
  readonly floor: Floor;
  /** The data disk and its label, if there is one. */
  readonly disk: { readonly path: string; readonly label: string } | undefined;
  readonly tpmPath?: string;
}): Promise<{ readonly keptBy: readonly string[] }> {
  const keptBy: string[] = [];
  if (wish.disk !== undefined) {
    await keepOnDisk(wish.disk, wish.floor);
    keptBy.push('disk');
  }
  const isInTpm = await withTpm(wish.tpmPath, async (tpm) => keepInTpm(tpm, wish.floor));
  if (isInTpm === true) keptBy.push('tpm');
  return { keptBy };
}

async function keepOnDisk(
  disk: { readonly path: string; readonly label: string },
  floor: Floor,
): Promise<void> {
  const before = decodeFloor(await readBootBlock(disk.path, FLOOR_BYTES));
  const next = before === undefined ? floor : followOf(before, floor);
  await writeBootBlock({ ...disk, bytes: encodeFloor(next) });
}

/** The other release's floor means nothing to this one; of one's own the higher one counts. */
function followOf(before: Floor, floor: Floor): Floor {
  const isOther =
    before.versions.root === floor.versions.root && before.rootSha256 !== floor.rootSha256;
  return isOther ? floor : higherFloor(before, floor);
}

/** The counter says how far it went; the base beside it, where it began and for whose root. */
async function readTpmFloor(tpm: Tpm): Promise<Floor | undefined> {
  const [counter, record] = [await readCounter(tpm, COUNTER_INDEX), await readNv(tpm, BASE_INDEX)];
  if (counter === undefined || record?.length !== BASE_BYTES) return undefined;
  const base = Buffer.from(record);
  const targets = Number(counter - base.readBigInt64BE(0));
  const root = Number(base.readBigInt64BE(8));
  if (!Number.isSafeInteger(targets) || targets < 0 || !Number.isSafeInteger(root))
    return undefined;
  const versions = { root, timestamp: 0, snapshot: 0, targets };
  return { versions, rootSha256: toHex(base.subarray(16)) };
}

async function keepInTpm(tpm: Tpm, floor: Floor): Promise<boolean> {
  await defineCounter(tpm, COUNTER_INDEX);
  if ((await readCounter(tpm, COUNTER_INDEX)) === undefined) {
    await incrementCounter(tpm, COUNTER_INDEX);
  }
  const before = await readTpmFloor(tpm);
  const isOther =
    before?.versions.root === floor.versions.root && before.rootSha256 !== floor.rootSha256;
  if (before === undefined || isOther) {
    await writeBase(tpm, floor);
    return true;
  }
  const missing = floor.versions.targets - before.versions.targets;
  for (let step = 0; step < Math.min(missing, INCREMENTS_MAX); step += 1) {
    await incrementCounter(tpm, COUNTER_INDEX);
  }
  return true;
}

async function writeBase(tpm: Tpm, { versions, rootSha256 }: Floor): Promise<void> {
  const counter = (await readCounter(tpm, COUNTER_INDEX)) ?? 0n;
  const record = Buffer.alloc(BASE_BYTES);
  record.writeBigInt64BE(counter - BigInt(versions.targets), 0);
  record.writeBigInt64BE(BigInt(versions.root), 8);
  record.write(rootSha256, 16, 'hex');
  await defineBytes(tpm, BASE_INDEX, BASE_BYTES);
  await writeNv(tpm, BASE_INDEX, new Uint8Array(record));
}

/** What the TPM says; nothing when the machine has none. */
async function withTpm<T>(
  path: string | undefined,
  work: (tpm: Tpm) => Promise<T>,
): Promise<T | undefined> {
  try {
    await using tpm = await openTpm(path === undefined ? {} : { path });
    return await work(tpm);
  } catch (error) {
    if (codeOf(error) === 'TPM_ABSENT') return undefined;
    throw error;
  }
}

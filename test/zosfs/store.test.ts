import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { NamedFile } from '../../src/lib/names.ts';
import { KiB } from '../../src/lib/units.ts';
import { fetchedBytes, fetchImage } from '../../src/zosfs/fetch.ts';
import { type ImageGround, imagePath } from '../../src/zosfs/plan.ts';
import { makeRoom, touchImage, verifyImage } from '../../src/zosfs/store.ts';

const GOOD = Buffer.alloc(200 * KiB, 'an image ');
const SHA256 = createHash('sha256').update(GOOD).digest('hex');

let ground: ImageGround = { folder: '', mountFolder: '' };
beforeEach(async () => {
  const base = await mkdtemp(join(tmpdir(), 'zos-images-'));
  ground = { folder: join(base, 'files'), mountFolder: join(base, 'mnt') };
  await mkdir(ground.folder);
  return async () => rm(base, { recursive: true });
});

/** A mirror that is not to be trusted; returns its address. */
async function serve(answers: Readonly<Record<string, Buffer | number>>): Promise<string> {
  const server = createServer((request, response) => {
    const answer = answers[request.url ?? ''] ?? 404;
    if (typeof answer === 'number') response.writeHead(answer).end();
    else response.end(answer);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function imageAt(sources: readonly string[]): NamedFile {
  return { sha256: SHA256, lengthBytes: GOOD.length, sources: [...sources] };
}

test('the first source with exactly the right bytes is taken', async () => {
  const flipped = Buffer.from(GOOD);
  flipped[77] = (flipped[77] ?? 0) ^ 1;
  const url = await serve({
    '/gone': 404,
    '/flipped': flipped,
    '/short': GOOD.subarray(1),
    '/long': Buffer.concat([GOOD, Buffer.from('x')]),
    '/good': GOOD,
  });
  const image = imageAt(['/gone', '/flipped', '/short', '/long', '/good'].map((at) => url + at));
  await fetchImage(image, ground);
  expect(await readFile(imagePath(ground, SHA256))).toEqual(GOOD);
  expect(await readdir(ground.folder)).toEqual([`${SHA256}.erofs`]);
  expect(await fetchedBytes(image, ground)).toBe(GOOD.length);
});

test('when no source has it, each says what it did, and nothing of it stays', async () => {
  const url = await serve({ '/short': GOOD.subarray(1), '/long': Buffer.concat([GOOD, GOOD]) });
  const image = imageAt([`${url}/short`, `${url}/long`, `${url}/none`]);
  const fetching = fetchImage(image, ground);
  await expect(fetching).rejects.toMatchObject({ code: 'IMAGE_UNREACHABLE' });
  await expect(fetching).rejects.toThrow(/204799 bytes.*more than the 204800.*answered 404/s);
  expect(await readdir(ground.folder)).toEqual([]);
  expect(await fetchedBytes(image, ground)).toBe(0);
});

test('one bit changed on the disk is found before the image is used', async () => {
  const path = imagePath(ground, SHA256);
  const flipped = Buffer.from(GOOD);
  flipped[GOOD.length - 1] = (flipped[GOOD.length - 1] ?? 0) ^ 128;
  await writeFile(path, flipped);
  const wrong = verifyImage(imageAt([]), path);
  await expect(wrong).rejects.toMatchObject({ code: 'IMAGE_WRONG_DIGEST' });
  await writeFile(path, GOOD);
  await expect(verifyImage(imageAt([]), path)).resolves.toBeUndefined();
});

test('room is made by what is longest unused, and what is mounted stays', async () => {
  const ids = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
  for (const [index, id] of ids.entries()) {
    await writeFile(imagePath(ground, id), GOOD);
    await touchImage(id, ground, 1_700_000_000_000 + index * 1000);
  }
  const [oldest = '', older = '', newest = ''] = ids;
  const inUse = new Set([oldest]);
  const neededBytes = GOOD.length;
  await makeRoom({ ground, neededBytes, inUse, roomBytes: 10 });
  const left = await readdir(ground.folder);
  expect(left.toSorted()).toEqual([`${oldest}.erofs`, `${newest}.erofs`]);
  expect(left).not.toContain(`${older}.erofs`);
});

test('too little room is said with the numbers', async () => {
  const wish = { ground, neededBytes: 300 * KiB, inUse: new Set<string>(), roomBytes: 100 * KiB };
  await expect(makeRoom(wish)).rejects.toThrow(
    'The image takes 300.0 KiB and there is room for 100.0 KiB.',
  );
});

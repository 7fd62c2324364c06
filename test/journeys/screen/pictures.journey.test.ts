import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { runInGuest } from '../../support/guest/guest.ts';
import { GALLERY_MARK } from '../../support/screen/gallery-mark.ts';
import { pixelsOf, takePicture } from '../../support/screen/picture.ts';
import { SCREENS } from '../../support/screen/states.ts';

// The display of a machine that runs the released kernel, in every state that its screen has.
const ROOT = join(import.meta.dirname, '../../..');
const PICTURES = join(ROOT, 'test/golden/screen');
let folder: string;
let shown: unknown;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-screen-'));
  const qmpPath = join(folder, 'qmp');
  const script = join(ROOT, 'test/support/screen/gallery.ts');
  const pictures: Promise<void>[] = [];
  shown = await runInGuest({
    root: ROOT,
    folder,
    script,
    deadlineMs: 12 * MINUTE_MS,
    machine: { qmpPath, hasDisplay: true },
    onLine: (line) => {
      if (!line.startsWith(GALLERY_MARK)) return;
      const name = line.slice(GALLERY_MARK.length).trim();
      pictures.push(takePicture(qmpPath, join(folder, `${name}.png`)));
    },
  });
  await Promise.all(pictures);
}, 14 * MINUTE_MS);

afterAll(async () => rm(folder, { recursive: true, force: true }));

test('the guest showed every state', () => {
  expect(shown).toEqual(Object.keys(SCREENS));
});

test.for(Object.keys(SCREENS))('a display shows the screen %s, and nothing else', async (name) => {
  const taken = await readFile(join(folder, `${name}.png`));
  const wanted = await readFile(join(PICTURES, `${name}.png`)).catch(() => undefined);
  const isSame = wanted !== undefined && pixelsOf(taken).bytes.equals(pixelsOf(wanted).bytes);
  if (isSame) return;
  const kept = join(tmpdir(), 'zos-pictures');
  await mkdir(kept, { recursive: true });
  await copyFile(join(folder, `${name}.png`), join(kept, `${name}.png`));
  expect.fail(`It looks otherwise; if that is meant, put ${kept}/${name}.png into ${PICTURES}.`);
});

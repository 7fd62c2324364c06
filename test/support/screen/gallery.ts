// Runs in a guest as its only program; see `runInGuest`.
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { openScreen } from '../../../src/screen/apply.ts';
import { powerOff } from '../guest/ground.ts';
import { RESULT_MARK } from '../guest/mark.ts';
import { GALLERY_MARK, PICTURE_MS } from './gallery-mark.ts';
import { SCREENS } from './states.ts';

for (const [name, state] of Object.entries(SCREENS)) {
  using _screen = openScreen({ state: () => state, tell: () => undefined });
  // What the kernel has to say must not be seen on it.
  writeFileSync('/dev/kmsg', '<3>a disk does not answer');
  await pause(PICTURE_MS / 4);
  console.log(`${GALLERY_MARK}${name}`);
  await pause(PICTURE_MS);
}
console.log(`${RESULT_MARK}${JSON.stringify(Object.keys(SCREENS))}`);
await powerOff();

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runInside } from '../support/inside.ts';

test('the kernel tells of each end of a container, and of one that nobody follows any more nothing', async () => {
  const script = join(import.meta.dirname, 'inside/ends.ts');
  expect(await runInside(script)).toEqual({ hasHeard: true, ofOthers: 0 });
}, 300_000);

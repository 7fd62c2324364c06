import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runInside } from '../../support/inside.ts';

test('a neighbour’s call is on every wire that it is on, whatever its routes say', async () => {
  const seen = await runInside(join(import.meta.dirname, 'inside/calls.ts'));
  expect(seen).toEqual({ wires: 4, frames: { one: 2, two: 2 } });
});

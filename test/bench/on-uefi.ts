import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openGrid } from '../../boot/grid/grid.ts';
import { buildImage } from '../../boot/grid/release.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import type { Figure } from './figure.ts';

const MB = 1_000_000;
const AGENT = /zos: agent /u;

/** What a machine with UEFI fetches first, and how long it takes to come up. */
export function figuresOnUefi(root: string, env: Readonly<Record<string, string>>): Figure[] {
  return [
    {
      name: 'first-stage',
      what: 'bytes over the wire until our first line: kernel, first stage and what binds them',
      unit: 'MB',
      reach: 56,
      measure: () => measureFirstStage(root, env),
    },
    {
      name: 'uefi',
      what: 'UEFI over HTTP with Secure Boot and a TPM, power-on to the agent’s first line',
      unit: 's',
      reach: 45,
      measure: () => measureUefi(root, env),
    },
  ];
}

async function measureFirstStage(
  root: string,
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const { signal } = new AbortController();
  await buildImage({ root, env, signal, onEvent: () => {} });
  return (await stat(join(root, 'dist/release/zos.efi'))).size / MB;
}

async function measureUefi(root: string, env: Readonly<Record<string, string>>): Promise<number> {
  await using grid = await openGrid({
    root,
    env,
    name: 'bench',
    nodes: 1,
    memoryMiB: 1024,
    uefi: 'http',
    folder: join(root, 'dist/bench-uefi'),
    onEvent: ({ subject, state, text }) => {
      if (state !== 'running') console.error(`bench: ${subject}: ${text}`);
    },
    signal: new AbortController().signal,
  });
  const line = grid.nodes[0]?.guest.lines.find(({ text }) => AGENT.test(text));
  if (line === undefined) throw new Error('The node registered, and its agent said nothing.');
  return line.sincePowerOnMs / SECOND_MS;
}

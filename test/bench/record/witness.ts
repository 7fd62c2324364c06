import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { exchange } from '../../../src/host/http.ts';
import { historyOf } from '../../support/record/log.ts';
import { LOG, vkeyOf } from '../../support/record/signers.ts';
import { startWitness } from '../../support/record/witness-process.ts';
import { type Figure, percentile } from '../figure.ts';

const CHECKPOINTS = 200;
const FLUSHES = 50;

/** What a witness adds to the way of an entry: it stores durably before it signs. */
export function figuresOfWitness(): Figure[] {
  return [
    {
      name: 'witness-cosign',
      what: 'checkpoint sent to a witness process, stored durably, cosigned and back, median',
      unit: 'ms',
      reach: 25,
      measure: inFolder(cosign),
    },
    {
      name: 'witness-flush',
      what: 'what the disk alone takes of that: 4 KiB written and flushed, median',
      unit: 'ms',
      reach: 25,
      measure: inFolder(flush),
    },
  ];
}

async function cosign(folder: string): Promise<number> {
  const history = historyOf(0, CHECKPOINTS);
  const bodies = Array.from({ length: CHECKPOINTS }, (_, size) => history.body(size, size + 1));
  await using witness = await startWitness(folder, { logs: [vkeyOf(LOG, 'ed25519')] });
  const took: number[] = [];
  for (const body of bodies) {
    const startMs = performance.now();
    const { status } = await exchange({
      url: `${witness.url}/add-checkpoint`,
      method: 'POST',
      body,
    });
    if (status !== 200) throw new Error(`the witness answered ${status}`);
    took.push(performance.now() - startMs);
  }
  return percentile(took, 50);
}

async function flush(folder: string): Promise<number> {
  await using file = await open(join(folder, 'flushed'), 'w');
  const took: number[] = [];
  for (let at = 0; at < FLUSHES; at += 1) {
    const startMs = performance.now();
    await file.write(new Uint8Array(4096), 0, 4096, at * 4096);
    await file.datasync();
    took.push(performance.now() - startMs);
  }
  return percentile(took, 50);
}

function inFolder(measure: (folder: string) => Promise<number>): () => Promise<number> {
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zos-bench-witness-'));
    try {
      return await measure(folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  };
}

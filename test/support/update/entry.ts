/**
 * The agent of systems that a journey updates to, in the place of image/program/node.ts, with one
 * fault, told by a file in its image. The boot program is never started from there.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { runAgent } from '../../../src/node/main.ts';
import type { Fault } from './system.ts';

const MEMORY_PART_BYTES = 16 * 1024 ** 2;
const kept: Buffer[] = [];

const FAULTS: Readonly<Record<Fault, () => void>> = {
  none: () => undefined,
  crash: () => process.exit(7),
  hang: () => {
    // No timer, no answer and no signal gets through any more.
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 500);
  },
  network: () => {
    setInterval(() => {
      for (const name of Object.keys(networkInterfaces())) {
        if (name !== 'lo') execFile('ip', ['link', 'set', 'dev', name, 'down'], () => undefined);
      }
    }, 100);
  },
  memory: () => {
    setInterval(() => kept.push(Buffer.alloc(MEMORY_PART_BYTES, 1)), 20);
  },
};

FAULTS[readFileSync('/etc/zos/fault', 'utf8') as Fault]();
void runAgent().then((status) => process.exit(status));

import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { setClock } from '../../host/clock.ts';
import type { AgentParts } from '../agent.ts';

/** The clock of this boot: once set, it stays trusted for the agents that come after. */
export async function openClock(
  agentFolder: string,
  nowMs: () => number,
): Promise<AgentParts['clock']> {
  const mark = `${agentFolder}/clock-synced`;
  const isSynced = await stat(mark).then(
    () => true,
    () => false,
  );
  return {
    isSynced,
    setClock,
    clock: nowMs,
    steady: () => performance.now(),
    nonce: () => randomBytes(16).toString('hex'),
    onSynced: async () => writeFile(mark, ''),
  };
}

/** Counts the agent's starts in this boot, this one included. */
export async function countStart(agentFolder: string): Promise<number> {
  const path = `${agentFolder}/starts`;
  const before = Number(await readFile(path, 'utf8').catch(() => '0'));
  const agentStarts = (Number.isSafeInteger(before) ? before : 0) + 1;
  await writeFile(path, String(agentStarts));
  return agentStarts;
}

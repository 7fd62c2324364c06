import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { doRounds } from '../../host/courier/rounds.ts';
import { reachDirectly, useWayOut } from '../../host/http.ts';
import { giveBackHeap } from '../../host/usage/heap.ts';

/** The descriptor that the agent's socket is. */
const SOCKET = 3;

/**
 * The courier: whatever a node says to the network and hears from it. It decides nothing, keeps
 * nothing and may do nothing else: a network that breaks into it holds a process that can neither
 * read a file of the node nor start a program. Ends with the agent's socket.
 */
export async function runCourier(): Promise<number> {
  const socket = new Socket({ fd: SOCKET, readable: true, writable: true });
  const ending = new AbortController();
  const lean = giveBackHeap(sleep, ending.signal);
  await doRounds({ socket, reach: reachDirectly, useWay: useWayOut });
  ending.abort();
  await lean;
  return 0;
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}

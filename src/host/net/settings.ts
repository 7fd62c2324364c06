import { run } from '../exec.ts';
import { insideNamespace } from './ip.ts';

/** Turns on passing packets from link to link. */
export const FORWARD_IPV6 = '/proc/sys/net/ipv6/conf/all/forwarding';

/**
 * Writes one value to kernel settings as a network namespace has them: which namespace's settings
 * `/proc/sys/net` shows depends on who looks, so it takes a program that is inside.
 */
export async function writeSettings(wish: {
  readonly netns: string;
  readonly paths: readonly string[];
  readonly value: string;
  readonly signal?: AbortSignal;
}): Promise<void> {
  await run({
    file: 'ip',
    args: insideNamespace(wish.netns, ['tee', ...wish.paths]),
    stdin: wish.value,
    ...(wish.signal === undefined ? {} : { signal: wish.signal }),
  });
}

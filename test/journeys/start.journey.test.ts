import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { interrupt, npmStart } from '../support/npm-start.ts';
import { findTraces, newTraces, processesOf } from '../support/traces.ts';

const ROOT = join(import.meta.dirname, '../..');

test(
  'npm start ends in the page fetched through the tunnel, and Ctrl-C leaves nothing behind',
  { timeout: 25 * MINUTE_MS },
  async () => {
    const before = await findTraces(ROOT);
    await using start = npmStart(ROOT);
    await start.waitFor('It stays up; Ctrl-C takes everything down.');
    expect(start.printed()).toMatch(/<!doctype html>[^]*<\/html>/iu);
    expect(start.printed()).toContain('registered as');

    const second = spawnSync('npm', ['start'], { cwd: ROOT, encoding: 'utf8' });
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch(/^A grid runs from this folder already, as process \d+;/mu);

    const during = newTraces(before, await findTraces(ROOT));
    expect(during.namespaces).not.toEqual([]);
    expect(during.links).not.toEqual([]);
    expect(processesOf(start.session).join('\n')).toMatch(/qemu-system-x86_64/u);

    await tryNext(start.printed());

    interrupt(start.child);
    await start.ended;
    expect(start.printed()).toContain('everything is down, nothing is left');
    expect(processesOf(start.session)).toEqual([]);
    const after = newTraces(before, await findTraces(ROOT));
    expect(after).toEqual({ namespaces: [], links: [], mounts: [], files: [] });
  },
);

/** Each command that it proposes does what it says, but those that go on until Ctrl-C. */
async function tryNext(printed: string): Promise<void> {
  const proposed = printed
    .split('\n')
    .map((line) => /^ {4}(?<command>npm run .*?) {2,}\S/u.exec(line)?.groups?.['command'])
    .filter((command) => command !== undefined);
  expect(proposed.length).toBeGreaterThan(3);
  for (const command of proposed) {
    const words = command.split(' ').filter((word) => word !== '--follow');
    const { status, stderr } = spawnSync(words[0] ?? '', words.slice(1), {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect({ command, status, stderr: status === 0 ? '' : stderr }).toEqual({
      command,
      status: 0,
      stderr: '',
    });
  }
}

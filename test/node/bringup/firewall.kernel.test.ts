import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { run } from '../../../src/host/exec.ts';

test('the firewall is closed once, keeps its open ports, and is missed when it is gone', async () => {
  const script = fileURLToPath(new URL('firewall-run.ts', import.meta.url));
  const seen = await run({ file: 'unshare', args: ['--net', process.execPath, script] });
  expect(seen.trim().split('\n')).toEqual([
    'bare: open',
    'closed at the start: closed',
    'closed again by the next agent: closed, tunnel port',
    'flushed by somebody: open',
    'put back: closed',
    'policy turned to accept: open',
  ]);
});

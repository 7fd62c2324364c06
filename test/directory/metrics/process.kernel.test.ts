import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { exchange } from '../../../src/host/http.ts';
import { GRID } from '../../support/contracts.ts';

const MAIN = new URL('../../../src/directory/main.ts', import.meta.url).pathname;

function launch(folder: string, ...args: string[]) {
  const listen = ['--listen', '127.0.0.1:0', '--grid', GRID, '--data', folder];
  return spawn(process.execPath, [MAIN, ...listen, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

test('a directory serves its metrics where it was told to, and nowhere without that', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zos-metrics-'));
  try {
    const child = launch(folder, '--metrics', '127.0.0.1:0');
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const { listening, metrics } = JSON.parse(line) as { listening: string; metrics: string };
    expect(new URL(metrics).port).not.toBe(new URL(listening).port);
    await exchange({ url: `${listening}/v1/grid` });
    const { status, body } = await exchange({ url: metrics });
    expect(status).toBe(200);
    const route = 'method="GET",route="/v1/grid",status="200"';
    expect(Buffer.from(body).toString()).toContain(`zos_directory_requests_total{${route}} 1`);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    const plain = launch(folder);
    const [other] = (await once(createInterface(plain.stdout), 'line')) as [string];
    const said = JSON.parse(other) as { listening: string };
    expect(said).not.toHaveProperty('metrics');
    const taken = launch(join(folder, 'second'), '--metrics', new URL(said.listening).host);
    expect(await once(taken, 'exit')).toEqual([3, null]);
    plain.kill('SIGTERM');
    await once(plain, 'exit');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);

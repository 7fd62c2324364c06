import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Runs a script in network, process and mount namespaces of its own, with a `/run` and a `/var/lib`
 * of its own, and returns what it printed as JSON. All that it makes ends with it.
 */
export async function runInside(script: string): Promise<unknown> {
  const prepare = ['-t sysfs none /sys', '-t tmpfs none /run', '-t tmpfs none /var/lib']
    .map((mount) => `mount ${mount} && `)
    .join('');
  const inner = ['sh', '-ec', `${prepare}"$@"`, 'sh', process.execPath, script];
  const spaces = ['--net', '--mount', '--propagation', 'private', '--pid', '--fork'];
  const args = [...spaces, '--kill-child', '--mount-proc', '--', ...inner];
  const { stdout } = await promisify(execFile)('unshare', args, { timeout: 240_000 });
  return JSON.parse(stdout);
}

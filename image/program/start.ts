import { getRawAsset } from 'node:sea';
import { Script } from 'node:vm';

/**
 * What `zos-node`, the only executable of ours on a node, begins with: PID 1 names a role with a
 * constant argument, and of the two programs that lie in it only the one with that role is loaded.
 */
const PROGRAMS: Readonly<Record<string, string>> = {
  boot: 'node',
  agent: 'node',
  courier: 'courier',
};

const [, , role = '', ...others] = process.argv;
const name = Object.hasOwn(PROGRAMS, role) && others.length === 0 ? PROGRAMS[role] : undefined;
if (name === undefined) {
  console.error(
    'zos-node: it is started by PID 1, as `boot`, `agent` or `courier`, and does nothing else.',
  );
  process.exitCode = 2;
} else {
  // Written in ASCII by the build: a byte a character, and not two of them.
  const source = Buffer.from(getRawAsset(`${name}.js`)).toString('latin1');
  const cachedData = Buffer.from(getRawAsset(`${name}.cache`));
  const program = new Script(source, { filename: `${name}.js`, cachedData });
  (program.runInThisContext() as (require: NodeJS.Require) => void)(require);
}

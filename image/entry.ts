/**
 * The entry of `zos-node`, the only executable of ours on a node: one program, two roles, chosen by
 * PID 1 with a constant argument. It is the one place where both are known.
 */
const role = process.argv[2];
if (role === 'boot' && process.argv.length === 3) {
  const { runBootProgram } = await import('../boot/program/program.ts');
  // At once: an idle connection to a mirror would hold the machine up for seconds.
  process.exit(await runBootProgram());
} else if (role === 'agent' && process.argv.length === 3) {
  const { runAgent } = await import('../src/node/main.ts');
  process.exit(await runAgent());
} else {
  console.error(
    'zos-node: it is started by PID 1, as `boot` or as `agent`, and does nothing else.',
  );
  process.exitCode = 2;
}

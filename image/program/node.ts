/** The boot program and the agent, of which a node runs one after the other. */
async function main(): Promise<number> {
  if (process.argv[2] === 'boot') {
    const { runBootProgram } = await import('../../boot/program/program.ts');
    return runBootProgram();
  }
  const { runAgent } = await import('../../src/node/main.ts');
  return runAgent();
}

// At once: an idle connection to a mirror would hold the machine up for seconds.
void main().then((status) => process.exit(status));

// The node's only executable: one program, two roles, chosen by PID 1 with a constant argument.
console.log(`zos: ${process.argv[2] ?? 'none'} first-line`);

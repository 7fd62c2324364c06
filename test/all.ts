import { CHECK, MACHINE, runSuite, sum } from './suites.ts';

const tallies = await Promise.all(CHECK.map((suite) => runSuite(suite)));
for (const row of MACHINE) {
  tallies.push(...(await Promise.all(row.map((suite) => runSuite(suite)))));
}
const { passed, failed } = sum(tallies);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

import { conclude, runBeside, runSuite } from './run.ts';
import { ALONE, CHECK, IMAGE, MACHINE } from './suites.ts';

conclude([
  ...(await Promise.all([...CHECK, IMAGE].map(runSuite))),
  ...(await runBeside(MACHINE)),
  await runSuite(ALONE),
]);

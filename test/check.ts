import { conclude, runSuite } from './run.ts';
import { CHECK } from './suites.ts';

conclude(await Promise.all(CHECK.map(runSuite)));

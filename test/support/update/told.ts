import { once } from 'node:events';
import { startWithSocket } from '../../../src/host/exec.ts';
import { openEnding } from '../../../src/node/update/ending.ts';

// Ends as an agent does that has its courier beside it; `node told.ts FOLDER`.
const ending = openEnding();
ending.folder = process.argv[2];
const beside = startWithSocket({ file: 'sleep', args: ['60'] });
console.log('ready');
await once(ending.signal, 'abort');
await beside.stop();
await ending.leave();
process.exitCode = ending.status;

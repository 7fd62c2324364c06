import { readFile, writeFile } from 'node:fs/promises';
import { Script } from 'node:vm';

/**
 * `node FLAGS image/node/compile.ts PROGRAM CACHE` writes what V8 compiles of a program before it
 * runs; where that is there, says whether V8 takes it with these flags: status 1 is no.
 */
if (import.meta.main) {
  const [, , programPath = '', cachePath = ''] = process.argv;
  const source = await readFile(programPath, 'latin1');
  const cachedData = await readFile(cachePath).catch(() => undefined);
  const options = cachedData === undefined ? {} : { cachedData };
  const script = new Script(source, { filename: programPath, ...options });
  if (cachedData === undefined) await writeFile(cachePath, script.createCachedData());
  else if (script.cachedDataRejected === true) process.exitCode = 1;
}

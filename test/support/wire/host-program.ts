import { run } from '../../../src/host/exec.ts';

/** A program of this machine with its libraries and loader, as files for a guest's `/tmp`. */
export async function filesOfProgram(path: string): Promise<Record<string, string>> {
  const listing = await run({ file: 'ldd', args: [path] });
  const libraries = [...listing.matchAll(/^\s+(\S+) => (\S+)/gmu)].map(
    ([, name = '', from = '']) => [name, from] as const,
  );
  const [, loader = ''] = /^\s+(\/\S*ld-linux\S*)/mu.exec(listing) ?? [];
  const name = path.split('/').at(-1) ?? path;
  return { ...Object.fromEntries(libraries), [name]: path, 'ld.so': loader };
}

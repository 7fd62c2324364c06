import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { METADATA_BYTES_MAX } from '../../src/artifact/release/metadata.ts';
import { fetchBytes } from '../../src/host/http.ts';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { codeOf, sentenceOf, ZosError } from '../../src/lib/errors.ts';
import { formatBytes, SECOND_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import { openBootServer } from '../serve/server.ts';
import type { Surroundings } from '../surroundings.ts';
import { type MirrorFolder, openMirrorFolder, type Synced, syncRelease } from './sync.ts';

/** So often a source is asked for a newer release: its answer is 1 KB when there is none. */
const LOOK_MS = 15 * SECOND_MS;
const DEADLINE_MS = 20 * SECOND_MS;

const HELP = `
Examples:
  $ zos boot mirror --from http://boot.example:8081 --folder /srv/zos
  $ zos boot mirror --from http://a.example:8081 http://b.example:8081 --folder /srv/zos \\
      --listen 192.0.2.7:8081 --root root.json

Without --listen it brings the folder up to date once and ends. With it, it also serves the folder,
and follows new releases until Ctrl-C. It holds no key: whatever a source gives is checked by the
signed metadata before a machine sees it, and every machine checks it again.
`;

type Options = {
  readonly from: readonly string[];
  readonly folder: string;
  readonly listen?: string;
  readonly root?: string;
};

/** `zos boot mirror`: anybody can serve a release to machines, holding no key. */
export function addMirror(program: Command, around: () => Surroundings): void {
  program
    .command('mirror')
    .description('copy a release from others, checked, and serve it to machines')
    .requiredOption('--from <url...>', 'where a release is; asked in turn')
    .requiredOption('--folder <dir>', 'where to keep it')
    .option('--listen <address:port>', 'serve it there, and follow new releases')
    .option('--root <file>', "the release's root.json; without it the first source's is taken")
    .addHelpText('after', HELP)
    .action((options: Options) => mirror(around(), options));
}

async function mirror(around: Surroundings, options: Options): Promise<void> {
  const { signal } = around;
  const listen = options.listen === undefined ? undefined : parseListen(options.listen);
  const path = resolve(options.folder);
  const folder = await openMirrorFolder(path, await trustedRoot(around, options, path));
  if (listen === undefined) {
    if (!(await syncFromAny(around, options.from, folder))) {
      throw new BootError('MIRROR_FAILED', 'No source had a release that holds; see above.');
    }
    return;
  }
  await using server = await openBootServer({ ...listen, releasePath: path, farm: null });
  tell(around, { event: 'serves', url: server.url }, `serves ${path} at ${server.url}`);
  while (!signal.aborted) {
    await syncFromAny(around, options.from, folder);
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** True when one of the sources had what holds; each that had not is told with its reason. */
async function syncFromAny(
  around: Surroundings,
  sources: readonly string[],
  folder: MirrorFolder,
): Promise<boolean> {
  const { nowMs, signal } = around;
  for (const from of sources) {
    const onProgress = teller(around);
    try {
      const synced = await syncRelease({ folder, from, nowMs: nowMs(), onProgress, signal });
      if (synced.isNew) tellSynced(around, from, synced);
      return true;
    } catch (error) {
      if (signal.aborted || !(error instanceof ZosError)) throw error;
      const { artifact } = error.facts;
      const what = typeof artifact === 'string' ? artifact : 'it';
      const told = { artifact: what, code: codeOf(error), sentence: sentenceOf(error) };
      const text = `refused ${what} from ${from}: ${told.code} ${told.sentence}`;
      tell(around, { event: 'refused', from, ...told }, text);
    }
  }
  return false;
}

function tellSynced(around: Surroundings, from: string, synced: Synced): void {
  const { versions, files, wireBytes } = synced;
  const text = Object.entries(versions).map(([role, version]) => `${role} ${version}`);
  const what = `${files} files, ${formatBytes(wireBytes)}`;
  tell(around, { event: 'synced', from, ...synced }, `has ${text.join(', ')} (${what}) ${from}`);
}

/** Tells every tenth of the way of what takes long. */
function teller(around: Surroundings): (name: string, have: number, length: number) => void {
  let told = '';
  let toldMs = around.nowMs();
  return (name, haveBytes, lengthBytes) => {
    const percent = Math.floor((haveBytes / lengthBytes) * 10) * 10;
    const text = `fetches ${name}: ${percent} % of ${formatBytes(lengthBytes)}`;
    if (text === told || around.nowMs() - toldMs < 2 * SECOND_MS) return;
    [told, toldMs] = [text, around.nowMs()];
    tell(around, { event: 'fetches', name, haveBytes, lengthBytes }, text);
  };
}

function tell({ isJson, out }: Surroundings, value: unknown, text: string): void {
  out(isJson ? `${JSON.stringify(value)}\n` : `mirror: ${text.replaceAll(/\p{Cc}/gu, ' ')}\n`);
}

/** Of the option, of a former run, or, told so that it can be compared, of the first source. */
async function trustedRoot(
  around: Surroundings,
  { from, root }: Options,
  path: string,
): Promise<Uint8Array> {
  if (root !== undefined) {
    return new Uint8Array(
      await readFile(root).catch((cause: unknown) => {
        throw new BootError('USAGE', `${root} can't be read; name a root.json.`, { cause });
      }),
    );
  }
  const kept = await readFile(join(path, 'metadata/1.root.json')).catch(() => undefined);
  if (kept !== undefined) return new Uint8Array(kept);
  const url = `${(from[0] ?? '').replace(/\/+$/u, '')}/metadata/1.root.json`;
  const limits = { deadlineMs: DEADLINE_MS, bytesMax: METADATA_BYTES_MAX.root };
  const bytes = await fetchBytes({ url, ...limits, signal: around.signal });
  const sha256 = sha256Hex(bytes);
  const text = `trusts the keys of ${url} from now on; compare its SHA-256: ${sha256}`;
  tell(around, { event: 'trusts', url, sha256 }, text);
  return bytes;
}

function parseListen(text: string): { readonly address: string; readonly port: number } {
  const { address, port } = /^(?<address>[\d.]+):(?<port>\d{1,5})$/u.exec(text)?.groups ?? {};
  if (address !== undefined && Number(port) <= 65_535) return { address, port: Number(port) };
  throw new BootError('USAGE', `Write an address and a port, as in --listen 192.0.2.7:8081.`);
}

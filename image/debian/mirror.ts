import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageError } from '../errors.ts';

const APT_FOLDER = '/etc/apt';
/** Names under which a Debian main archive is listed; Ubuntu's and other vendors' are not here. */
const SUITES = new Set(['stable', 'bookworm', 'trixie', 'forky']);

/**
 * Where Debian's main archive is fetched from: `chosen` (ZOS_DEBIAN_MIRROR), or what this machine's
 * own apt uses. Not trusted: all that comes from it is checked against a hash.
 */
export async function findMirror(chosen: string | undefined): Promise<string> {
  if (chosen !== undefined && chosen !== '') return withoutSlash(chosen);
  const [sources, lists] = await readAptFiles();
  for (const uri of [...sources.flatMap(urisOfDeb822), ...lists.flatMap(urisOfList)]) {
    const plain = await followMirrorFile(uri);
    if (plain !== undefined) return withoutSlash(plain);
  }
  throw new ImageError(
    'MIRROR_UNKNOWN',
    "This machine's apt lists no Debian archive; set ZOS_DEBIAN_MIRROR to the address of one.",
  );
}

async function readAptFiles(): Promise<[sources: string[], lists: string[]]> {
  const folder = join(APT_FOLDER, 'sources.list.d');
  const names = await readdir(folder).catch(() => []);
  const read = async (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
  const all = async (ending: string): Promise<string[]> =>
    Promise.all(
      names.filter((name) => name.endsWith(ending)).map((name) => read(join(folder, name))),
    );
  return [
    await all('.sources'),
    [await read(join(APT_FOLDER, 'sources.list')), ...(await all('.list'))],
  ];
}

/**
 * Paragraphs of fields (deb822, sources.list(5)); continuation lines never hold what we look for.
 */
export function urisOfDeb822(text: string): string[] {
  return text.split(/\n\s*\n/u).flatMap((paragraph) => {
    const field = (name: string): string[] => {
      const line = new RegExp(`^${name}:(.*)$`, 'imu').exec(paragraph);
      return line?.[1]?.trim().split(/\s+/u) ?? [];
    };
    const isOff = field('Enabled').includes('no') || !field('Types').includes('deb');
    return isOff ? [] : archivesOf(field('URIs'), field('Suites'), field('Components'));
  });
}

/** The same in a `.list` file, one line an archive: `deb [options] URI SUITE COMPONENT...`. */
export function urisOfList(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)\s+(.+)$/u.exec(line);
    const [, uri = '', suite = '', components = ''] = match ?? [];
    return match === null ? [] : archivesOf([uri], [suite], components.trim().split(/\s+/u));
  });
}

function archivesOf(uris: string[], suites: string[], components: string[]): string[] {
  const isMain = components.includes('main') && suites.some((suite) => SUITES.has(suite));
  return isMain ? uris : [];
}

/** Cloud images list `mirror+file:PATH`, a file of addresses, one a line. */
async function followMirrorFile(uri: string): Promise<string | undefined> {
  if (/^https?:/u.test(uri)) return uri;
  const path = /^mirror\+file:(?:\/\/)?(\/.+)$/u.exec(uri)?.[1];
  if (path === undefined) return undefined;
  const lines = await readFile(path, 'utf8').catch(() => '');
  return /^\s*(https?:\S+)/mu.exec(lines)?.[1];
}

function withoutSlash(uri: string): string {
  return uri.replace(/\/+$/u, '');
}

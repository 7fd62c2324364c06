import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sentenceOf } from '../../lib/errors.ts';
import { type Edge, EMPTY_EDGE, encodeBundle, growEdge, TILE_WIDTH } from '../../record/tile.ts';
import { leafHash } from '../../record/tree.ts';
import { formatEntry } from '../../record/entry.ts';
import { type Database, NO_RECORD } from '../database/database.ts';
import { openPostgres } from '../database/postgres.ts';
import { SCHEMA_VERSION } from '../database/schema.ts';
import { openSqlite, openSqliteReader } from '../database/sqlite.ts';
import { all, one } from '../database/work.ts';
import { StartError } from '../errors.ts';
import { entryIn, publishedHead } from '../record/head.ts';
import { openTileFolder } from '../record/tiles.ts';
import { textIn } from '../sql/rows.ts';
import { checkedStoreUrl } from '../stores.ts';
import { alignNumbers, dump, isEmpty, load } from './dump.ts';
import { checkBackup, openBackupWriter, rowsOf } from './file.ts';

const USAGE =
  'Use: directory backup --to FILE --data FOLDER, or ' +
  'directory restore --from FILE --data FOLDER; ' +
  'with --store postgres://USER@HOST/DATABASE for PostgreSQL';
/** Bundles of the record that are made into tiles at a time. */
const BUNDLES_AT_ONCE = 16;

export type BackupCommand = 'backup' | 'restore';

/** Whether these words ask for one of the commands. */
export function isBackupCommand(word: string | undefined): word is BackupCommand {
  return word === 'backup' || word === 'restore';
}

type Options = {
  readonly file: string;
  readonly folder: string;
  readonly storeUrl: string | undefined;
  readonly tilesFolder: string;
};

/**
 * Writes all that the directory keeps into one file, while it runs on, or all of such a file into
 * an empty store of either kind. The keys are in neither: they are copied apart, and kept apart.
 * Says what it did; throws `StartError`.
 */
export async function runBackupCommand(
  command: BackupCommand,
  words: readonly string[],
): Promise<Record<string, unknown>> {
  const options = readOptions(command, words);
  return command === 'backup' ? backUp(options) : restore(options);
}

function readOptions(command: BackupCommand, args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const options = { to: text, from: text, data: text, keys: text, store: text, tiles: text };
  let values: { [name in keyof typeof options]?: string };
  try {
    ({ values } = parseArgs({ args: [...args], options }));
  } catch (cause) {
    throw new StartError('ARGUMENTS', `${sentenceOf(cause)}. ${USAGE}.`);
  }
  const file = command === 'backup' ? values.to : values.from;
  const folder = values.keys ?? values.data;
  const storeUrl = checkedStoreUrl(values.store);
  const isComplete = folder !== undefined || (command === 'backup' && storeUrl !== undefined);
  if (!file || !isComplete) throw new StartError('ARGUMENTS', `${USAGE}.`);
  const tilesFolder = values.tiles ?? join(folder ?? '.', 'record');
  return { file, folder: folder ?? '.', storeUrl, tilesFolder };
}

async function backUp({ file, folder, storeUrl: url }: Options) {
  await using resources = new AsyncDisposableStack();
  const source =
    url === undefined
      ? openSqliteReader(join(folder, 'directory.sqlite'))
      : await openPostgres({ url, grid: null, recorder: NO_RECORD });
  resources.defer(source.close);
  const grid = textIn((await source.read(one('SELECT name FROM grid'))) ?? {}, 'name');
  const kind = 'zero-os-directory-backup';
  const header = { kind, version: 1, schema: SCHEMA_VERSION, grid } as const;
  const writer = openBackupWriter(file, header);
  await source.read(dump(writer.take));
  return { backup: file, grid, rows: writer.end() };
}

async function restore({ file, folder, storeUrl: url, tilesFolder }: Options) {
  const { schema, grid } = checkBackup(file);
  if (schema !== SCHEMA_VERSION) {
    const sentence = `This backup is of schema ${schema}, and ours is ${SCHEMA_VERSION}.`;
    throw new StartError('BACKUP_UNUSABLE', `${sentence} Restore it with the release of then.`);
  }
  await using resources = new AsyncDisposableStack();
  const path = join(folder, 'directory.sqlite');
  const database =
    url === undefined
      ? openSqlite({ path, grid, recorder: NO_RECORD })
      : await openPostgres({ url, grid, recorder: NO_RECORD });
  resources.defer(database.close);
  const rows = await database.write(function* () {
    if (!(yield* isEmpty())) {
      const sentence = 'There is a directory in this store; restore into an empty one.';
      throw new StartError('STORE_UNUSABLE', sentence);
    }
    const count = yield* load(rowsOf(file));
    if (url !== undefined) yield* alignNumbers();
    return count;
  });
  await makeTiles(database, tilesFolder);
  return { restored: file, grid, rows };
}

/** The record's tiles follow from its entries, up to what was published. */
async function makeTiles(database: Database, folder: string): Promise<void> {
  const tiles = openTileFolder(folder);
  const { size, checkpoint } = await database.read(publishedHead());
  let edge: Edge = EMPTY_EDGE;
  while (edge.size < size) {
    const from = edge.size;
    const end = Math.min(size, from + BUNDLES_AT_ONCE * TILE_WIDTH);
    const rows = await database.read(
      all(
        `SELECT idx, payload_type, digest, node, seq FROM record_entries
         WHERE idx >= :from AND idx < :end ORDER BY idx`,
        { from, end },
      ),
    );
    const entries = rows.map((row) => formatEntry(entryIn(row)));
    const grown = growEdge(
      edge,
      entries.map((entry) => leafHash(entry)),
    );
    const bundles = Array.from({ length: Math.ceil(entries.length / TILE_WIDTH) }, (_, at) => {
      const held = entries.slice(at * TILE_WIDTH, (at + 1) * TILE_WIDTH);
      const index = from / TILE_WIDTH + at;
      const tile = { level: 'entries' as const, index, width: held.length };
      return { tile, bytes: encodeBundle(held) };
    });
    await tiles.write([...grown.tiles, ...bundles]);
    edge = grown.edge;
  }
  if (checkpoint !== null) await tiles.publish(checkpoint);
}

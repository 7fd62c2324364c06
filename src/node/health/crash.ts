import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { readText, writeDurably } from '../../host/files.ts';
import type { Crash } from '../../host/reset/pstore.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { openSealed, sealTo } from '../../identity/seal.ts';
import { fromBase64, toBase64, toHex, utf8 } from '../../lib/bytes.ts';
import { KiB, MINUTE_MS } from '../../lib/units.ts';
import { sealMessage } from '../../phonebook/message.ts';
import type { AgentParts } from '../agent.ts';
import type { Directory } from '../bringup/directory.ts';
import type { Self } from '../bringup/identity.ts';
import { tellers } from '../online/telling.ts';

const FILE_BYTES_MAX = 256 * KiB;
const AGAIN_MS = 10 * MINUTE_MS;

const keptSchema = z.strictObject({ words: z.string(), log: z.string() });

/** The last words of a kernel, until the farmer has them. */
export type CrashStore = {
  readonly keep: (crash: Crash) => Promise<void>;
  readonly read: () => Promise<Crash | undefined>;
  readonly forget: () => Promise<void>;
};

/**
 * Keeps the newest crash on the disk, sealed to the node's own key: who takes the disk out reads
 * nothing of it. Who can write the file can only make the node lose its words.
 */
export function openCrashStore(folder: string, { keys }: Self): CrashStore {
  const path = `${folder}/crash.sealed`;
  return {
    keep: async ({ words, log }) => {
      const sealed = sealTo(keys.sealing.publicKey, utf8(JSON.stringify({ words, log })));
      await writeDurably({ path, bytes: toBase64(sealed) });
    },
    read: async () => {
      try {
        const text = await readText(path, FILE_BYTES_MAX);
        if (text === undefined) return undefined;
        const sealed = fromBase64(text) ?? new Uint8Array();
        const plain = openSealed(keys.sealing.secretKey, sealed);
        return keptSchema.parse(JSON.parse(new TextDecoder().decode(plain)));
      } catch {
        // Cut off while it was written, or sealed by a key that is gone: there is nothing to send.
        await rm(path, { force: true });
        return undefined;
      }
    },
    forget: async () => rm(path, { force: true }),
  };
}

/** Puts the last words of a kernel that panicked into its farmer's mailbox, sealed. */
export async function sendCrash(parts: AgentParts, signal: AbortSignal): Promise<void> {
  const { crashes, directory, sleep } = parts;
  const { onTrouble } = tellers(parts);
  const crash = await crashes.read();
  const home = parts.home.current();
  if (crash === undefined || home === undefined) return;
  while (!signal.aborted) {
    try {
      const farmer = await newestOf(home.farmer, directory);
      // A team has no key of its own to seal to.
      const readers = farmer.members.length === 0 ? [farmer] : farmer.members;
      for (const reader of readers) await post(parts, crash, reader);
      await crashes.forget();
      parts.console.say(`sent the last words of the kernel to the farmer ${farmer.id}`);
      return;
    } catch (error) {
      onTrouble('crash', error);
      await sleep(AGAIN_MS, signal);
    }
  }
}

async function post(parts: AgentParts, crash: Crash, reader: Identity): Promise<void> {
  const { grid, self, clock } = parts;
  const signer = self.keys.signing;
  const message = {
    grid,
    from: self.identity.id,
    to: reader.id,
    nonce: toHex(randomBytes(16)),
    atMs: clock.clock(),
    text: textOf(crash, self.identity.id),
  };
  const sealed = sealMessage({ message, signer, sender: self.document, recipient: reader });
  const signing = { grid, signer, nowMs: clock.clock };
  const letter = { recipient: reader.id, sealed, sender: self.document };
  await parts.directory.call(async (client) => client.postMessage(signing, letter));
}

function textOf({ words, log }: Crash, node: string): string {
  return `The kernel of node ${node} panicked: ${words}\nThe end of its log:\n\n${log}`;
}

/** The farmer with the keys of now: the directory can keep back newer ones, and make none. */
async function newestOf(known: Identity, directory: Directory): Promise<Identity> {
  const said = await directory.call(async (client) => client.identity(known.id));
  const newest = verifyIdentity(said, known.id);
  return newest.chain.length >= known.chain.length ? newest : known;
}

import { readContent, wipeEdges } from '../../host/disk.ts';
import { formatDataDisk } from '../../disk/apply.ts';
import { CONSENTS_MAX, type VerifiedConsent, verifyConsent } from '../../disk/consent.ts';
import { observeDisks } from '../../disk/observe.ts';
import { planConsent } from '../../disk/plan.ts';
import type { Wants } from '../../contract/wants.ts';
import { readText, writeDurably } from '../../host/files.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { KiB } from '../../lib/units.ts';
import type { Home, HomeHolder } from '../identity/home.ts';
import { forgetFailed } from './opening.ts';

const FILE_BYTES_MAX = 64 * KiB;
/** Used ones are remembered beyond their end by their number, not by a clock. */
const USED_MAX = 8 * CONSENTS_MAX;

export type ConsentParts = {
  readonly grid: string;
  readonly home: Pick<HomeHolder, 'current'>;
  /** Where the node's records are. */
  readonly folder: string;
  readonly node: string;
  readonly nowMs: () => number;
  readonly say: (text: string) => void;
  /** Another data disk is there: the agent has to open it. */
  readonly onTaken: () => void;
};

/**
 * Does what the farmer signed for this node's disks, each word once. It is noted as done before it
 * is: a disk is never wiped twice by one word, whatever happens in between. Who can write the note
 * can have a word done again that has not ended yet, and can't make one.
 */
export function openConsents(parts: ConsentParts): (wants: Wants) => Promise<void> {
  const path = `${parts.folder}/consents.json`;
  const said = new Map<string, string>();
  const tell = (id: string, text: string): void => {
    if (said.get(id) !== text) parts.say(text);
    said.set(id, text);
  };
  type Consent = NonNullable<Wants['diskConsents']>[number]['consent'];
  const read = (envelope: Consent, home: Home) => {
    try {
      const { grid } = parts;
      const expected = { grid, farm: home.farm, nowMs: parts.nowMs() };
      const consent = verifyConsent(envelope, home.farmer, expected);
      return consent.node === parts.node ? consent : undefined;
    } catch (error) {
      tell(envelope.payload, `refused disk consent: ${codeOf(error)} ${sentenceOf(error)}`);
      return undefined;
    }
  };
  return async ({ diskConsents = [] }) => {
    const home = parts.home.current();
    if (diskConsents.length === 0 || home === undefined) return;
    const used = await readUsed(path);
    for (const { consent: envelope } of diskConsents) {
      const consent = read(envelope, home);
      if (consent === undefined || used.includes(consent.id)) continue;
      const text = await obey(consent, async () => {
        used.push(consent.id);
        await writeDurably({ path, bytes: JSON.stringify(used.slice(-USED_MAX)) });
      });
      tell(consent.id, text);
      if (used.includes(consent.id)) parts.onTaken();
    }
  };
}

/** What came of it, for people. */
async function obey(consent: VerifiedConsent, markUsed: () => Promise<void>): Promise<string> {
  const { serial, do: what } = consent;
  const planned = planConsent(await observeDisks(), consent);
  if ('because' in planned) return `consent to ${what} disk ${serial} waits: ${planned.because}`;
  const { path } = planned.disk;
  await markUsed();
  try {
    if (what === 'wipe') await wipeEdges(path);
    // What was read when it was planned may have changed: a disk that is not blank is not taken.
    const now = await readContent(path);
    if (now.kind !== 'blank') return `consent to ${what} disk ${serial}: ${path} is not blank`;
    await formatDataDisk(path);
    await forgetFailed(path);
    return `disk ${serial} (${path}) ${what === 'wipe' ? 'wiped and taken' : 'taken'}`;
  } catch (error) {
    return `consent to ${what} disk ${serial} failed: ${sentenceOf(error)}`;
  }
}

async function readUsed(path: string): Promise<string[]> {
  const text = await readText(path, FILE_BYTES_MAX);
  if (text === undefined) return [];
  const read: unknown = JSON.parse(text);
  return Array.isArray(read) ? read.filter((id) => typeof id === 'string') : [];
}

import type { Look } from '../../contract/diagnosis/look.ts';
import { observeDisks } from '../../disk/observe.ts';
import { TUNNEL_PORTS } from '../../host/net/firewall.ts';
import { systemTimeMs } from '../../host/clock.ts';
import { readKernelLog } from '../../host/inspect/kernel-log.ts';
import { describeLinks, lookUp, reach, routeTo } from '../../host/inspect/network.ts';
import { readHeaders } from '../../host/inspect/packets.ts';
import { isCard, listLinks } from '../../host/net/ip.ts';
import { listSet } from '../../host/net/nft.ts';
import { utf8 } from '../../lib/bytes.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';
import { AskError, type Asked } from '../questions.ts';

export type LookParts = {
  /** Whose node this is; nobody else learns anything. */
  readonly farmer: () => string | undefined;
  readonly isClockSynced: () => boolean;
  /** Time that setting the clock does not move. */
  readonly steady: () => number;
};

/** Answers the farmer's looks, one at a time: each is bounded in time and in length. */
export function openLook(parts: LookParts): (question: Asked<'look'>) => Promise<Uint8Array> {
  const state = { isBusy: false };
  return async ({ look: wanted, tenant }) => {
    if (tenant !== parts.farmer()) {
      throw new AskError('ASKER_FOREIGN', 'Only the farmer of this node may ask that.');
    }
    if (state.isBusy) return utf8('The node is at another look of yours; ask again.\n');
    state.isBusy = true;
    try {
      return utf8(await look(wanted, parts));
    } catch (error) {
      return utf8(`${codeOf(error)} ${sentenceOf(error)}\n`);
    } finally {
      state.isBusy = false;
    }
  };
}

/** One of the closed list. */
async function look(wanted: Look, parts: LookParts): Promise<string> {
  switch (wanted.what) {
    case 'clock':
      return clockText(parts);
    case 'disks':
      return disksText();
    case 'kernel-log':
      return readKernelLog();
    case 'links':
      return describeLinks();
    case 'name':
      return lookUp(wanted.name);
    case 'packets':
      return packetsText();
    case 'reach':
      return reach(wanted.host, wanted.port);
    case 'route':
      return routeTo(wanted.address);
    default:
      wanted satisfies never;
      return '';
  }
}

function clockText({ isClockSynced, steady }: LookParts): string {
  const now = new Date(systemTimeMs()).toISOString();
  const word = isClockSynced() ? 'right, by the directory’s signed word' : 'not known to be right';
  return `${now}, ${word}; the agent runs for ${formatDuration(steady())}\n`;
}

async function disksText(): Promise<string> {
  const disks = await observeDisks();
  if (disks.length === 0) return 'The machine has no disk that its drivers know.\n';
  const lines = disks.map((disk) =>
    [
      `${disk.path}: ${disk.model || 'no model'}`,
      `serial ${disk.serial || 'none'}`,
      formatBytes(disk.lengthBytes),
      disk.isRotating ? 'rotates' : 'does not rotate',
      disk.isReadOnly ? 'read-only' : 'can be written',
      disk.content.kind,
    ].join(', '),
  );
  return `${lines.join('\n')}\n`;
}

async function packetsText(): Promise<string> {
  const card = (await listLinks()).find((link) => isCard(link) && link.isUp);
  if (card === undefined) return 'No network card is up.\n';
  const tunnelPorts = (await listSet(TUNNEL_PORTS)).map(Number).filter(Number.isInteger);
  return readHeaders({ link: card.name, tunnelPorts });
}

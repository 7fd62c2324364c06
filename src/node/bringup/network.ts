import { useWayOut } from '../../host/http.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { keepUplinks } from '../../uplink/apply-kept.ts';
import { bringUplinks, type UplinkView } from '../../uplink/apply.ts';
import { AUTOMATIC, type UplinkSettings } from '../../uplink/spec.ts';
import { settingsOfMedia } from '../../uplink/verify.ts';
import type { Troubles } from '../health/troubles.ts';
import type { BootFiles } from './boot-files.ts';
import type { AgentConsole } from './console.ts';

/** The machine's own network: the first stage brought it up, the agent keeps it up. */
export type Network = {
  /** One look, before anything else needs it; what is missing is for later looks. */
  readonly bringUp: () => Promise<void>;
  /** Follows cables, cards, leases and routers until the signal fires. */
  readonly keep: () => Promise<void>;
};

const GROUND = { asFirmware: false };

/** Goes by the settings that the farmer signed into the boot media; unsigned ones are told. */
export function openNetwork(parts: {
  readonly boot: BootFiles;
  readonly console: AgentConsole;
  readonly troubles: Pick<Troubles, 'set'>;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly steady: () => number;
  readonly signal: AbortSignal;
}): Network {
  const { console, signal, sleep, steady } = parts;
  const settings = settingsOf(parts.boot, console);
  const onView = followViews(parts);
  const onTrouble = (error: unknown): void => {
    console.failed(`the network: ${codeOf(error)} ${sentenceOf(error)}`);
  };
  const wish = { settings: () => settings, ground: GROUND, onView, onTrouble, sleep, steady };
  return {
    bringUp: async () => {
      await bringUplinks(settings, { ...GROUND, signal }).then(onView, onTrouble);
    },
    keep: async () => keepUplinks(wish, signal),
  };
}

function settingsOf({ media }: BootFiles, console: AgentConsole): UplinkSettings {
  try {
    return settingsOfMedia(media);
  } catch (error) {
    console.failed(`refused network settings: ${codeOf(error)} ${sentenceOf(error)}`);
    return AUTOMATIC;
  }
}

/** Says what changes: what the links wait for, and that there is no address at all. */
function followViews(parts: {
  readonly console: AgentConsole;
  readonly troubles: Pick<Troubles, 'set'>;
}): (view: UplinkView) => void {
  const { console, troubles } = parts;
  let addresses = '';
  return (view) => {
    useWayOut(view.way);
    for (const { step, failure } of view.done) {
      if (failure !== null) console.failed(`can't ${step.do} for the network: ${failure}`);
    }
    const waits = view.waits.length === 0 ? null : view.waits.join('; ');
    console.waits('network', waits);
    const isCutOff = view.addresses.length === 0;
    troubles.set('NO_ADDRESS', isCutOff ? `No address: waits for ${waits ?? 'its links'}.` : null);
    const now = view.addresses.map(({ address, link }) => `${address} on ${link}`).join(' ');
    if (now !== addresses && addresses !== '') console.say(`addresses ${now || 'none'}`);
    addresses = now;
  };
}

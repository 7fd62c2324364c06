import { systemTimeMs } from '../../host/clock.ts';
import { printScreen } from '../../host/log.ts';
import { ownAddresses } from '../../host/net/ip.ts';
import { approvalUrlOf } from '../../screen/address.ts';
import { openScreen } from '../../screen/apply.ts';
import type { OwnClass } from '../bringup/attestation.ts';
import type { BootFiles } from '../bringup/boot-files.ts';
import type { AgentConsole } from '../bringup/console.ts';
import type { Troubles } from '../health/troubles.ts';

/** The machine's display, from now on the agent's; the state is read anew at each look. */
export function openAgentScreen(parts: {
  readonly console: AgentConsole;
  readonly boot: BootFiles;
  readonly troubles: Troubles;
  readonly sinceKernelStartMs: () => number;
}): Disposable {
  const { console, boot, troubles, sinceKernelStartMs } = parts;
  const [directoryUrl = ''] = boot.grid.directory.urls;
  console.shows({ release: boot.record.release, directoryUrl });
  return openScreen({
    tell: printScreen,
    state: () => ({
      ...console.facts(),
      uptimeMs: sinceKernelStartMs(),
      nowMs: systemTimeMs(),
      addresses: ownAddresses(),
      waiting: console.waiting(),
      failure: console.lastFailure(),
      lines: console.lines(),
      troubles: troubles.list(systemTimeMs()).map(({ sentence }) => sentence),
    }),
  });
}

/** Who this node is, what its boot is worth, and where a farmer approves it. */
export function showSelf(
  { console, boot }: { readonly console: AgentConsole; readonly boot: BootFiles },
  node: string,
  own: Pick<OwnClass, 'class' | 'because' | 'answeredMs'>,
): void {
  if (own.answeredMs !== null) console.say(`TPM answered in ${own.answeredMs} ms`);
  console.reached('class', own.because === '' ? own.class : `${own.class}: ${own.because}`);
  const [directoryUrl = ''] = boot.grid.directory.urls;
  const ofClass = { name: own.class, because: own.because };
  console.shows({ node, approvalUrl: approvalUrlOf(directoryUrl, node), class: ofClass });
}

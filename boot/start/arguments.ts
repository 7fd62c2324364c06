import { parseArgs } from 'node:util';
import { BootError } from '../errors.ts';

export type Wish = {
  readonly isHelp: boolean;
  /** Ends when the page was fetched, for tests and figures. */
  readonly isOnce: boolean;
  readonly isVirtual: boolean;
  /** The wire that real servers are on. */
  readonly interfaceName: string | undefined;
  /** Beside a DHCP server that is there already, instead of being one. */
  readonly isProxyDhcp: boolean;
};

export const HELP = `Brings up a whole Zero-OS grid on this machine, and takes it down on Ctrl-C.

  npm start                              directory, boot server and two nodes in QEMU
  npm start -- --interface eth1 --no-vm  real servers on that wire instead; boot them over PXE

  --interface NAME  the network card that the servers are on
  --no-vm           start no QEMU
  --proxy-dhcp      leave addresses to the DHCP server that is on that wire already
  --once            take everything down again as soon as the page was fetched
  --help            this
`;

/** What the command line asks for; throws `BootError` with a sentence. */
export function parseWish(args: readonly string[]): Wish {
  const values = valuesOf(args);
  const isVirtual = values['no-vm'] !== true;
  const interfaceName = values.interface;
  if (isVirtual !== (interfaceName === undefined)) {
    throw usage('--interface and --no-vm belong together: real servers on a wire, and no QEMU');
  }
  if (values['proxy-dhcp'] === true && isVirtual) {
    throw usage('--proxy-dhcp is for real servers; give --interface and --no-vm too');
  }
  return {
    isHelp: values.help === true,
    isOnce: values.once === true,
    isProxyDhcp: values['proxy-dhcp'] === true,
    isVirtual,
    interfaceName,
  };
}

function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h' },
        once: { type: 'boolean' },
        'no-vm': { type: 'boolean' },
        interface: { type: 'string' },
        'proxy-dhcp': { type: 'boolean' },
      },
    }).values;
  } catch (cause) {
    throw usage(cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : String(cause));
  }
}

function usage(problem: string): BootError {
  return new BootError('USAGE', `${problem}; npm start -- --help shows all options.`);
}

import { type Running, start } from '../exec.ts';

export type BootClients = {
  /** Where iPXE finds its script. */
  readonly scriptUrl: string;
  /** What UEFI fetches by itself over HTTP; also told to whoever asks as UEFI does. */
  readonly efiUrl?: string;
  /** For clients that are not iPXE; none without. */
  readonly tftp?: {
    readonly folder: string;
    /** Names of files in it, by firmware. */
    readonly bios: string;
    readonly efi: string;
  };
  /** Machines that are not sent to the script although they are iPXE. */
  readonly plainMacs?: readonly string[];
};

export type DnsmasqWish = {
  /** The network namespace to run in; the host's if none. */
  readonly netns?: string;
  readonly link: string;
  /** A folder of its own that the unprivileged user may write to. */
  readonly folder: string;
  /**
   * Own addresses, or `proxy`: only the answer to "what do I boot", beside a DHCP server that is
   * there already.
   */
  readonly addresses:
    | {
        readonly from: string;
        readonly to: string;
        readonly router?: string;
        /** An IPv6 prefix to announce; iPXE waits for one 13 seconds if nobody does. */
        readonly prefix6?: string;
      }
    | { readonly proxy: string };
  readonly boot?: BootClients;
  readonly onLine?: (line: string) => void;
};

/** `nobody` and `nogroup` on Debian. */
export const DNSMASQ_USER_ID = 65534;

const CAPABILITIES = '-all,+net_admin,+net_raw,+net_bind_service';

/** Starts DHCP (and TFTP) without DNS, as a user who owns nothing. Throws `ExecError`. */
export function startDnsmasq(wish: DnsmasqWish): Running {
  const inside = wish.netns === undefined ? [] : ['ip', 'netns', 'exec', wish.netns];
  const user = ['setpriv', '--reuid', `${DNSMASQ_USER_ID}`, '--regid', `${DNSMASQ_USER_ID}`];
  const capabilities = ['--clear-groups', '--inh-caps', CAPABILITIES];
  const ambient = ['--ambient-caps', CAPABILITIES, '--no-new-privs', '--pdeathsig', 'KILL'];
  const [file = '', ...args] = [
    ...inside,
    ...user,
    ...capabilities,
    ...ambient,
    'dnsmasq',
    ...dnsmasqArgs(wish),
  ];
  return start({ file, args, ...(wish.onLine === undefined ? {} : { onLine: wish.onLine }) });
}

/** dnsmasq's options for a wish; everything it writes is in the folder. */
export function dnsmasqArgs({ link, folder, addresses, boot }: DnsmasqWish): string[] {
  return [
    ['--keep-in-foreground', '--log-facility=-', '--conf-file=/dev/null', '--port=0'],
    [`--interface=${link}`, '--bind-interfaces', '--except-interface=lo', '--no-ping'],
    [
      `--dhcp-leasefile=${folder}/leases`,
      '--dhcp-authoritative',
      '--log-dhcp',
      '--user=',
      '--pid-file=',
    ],
    addressArgs(link, addresses),
    boot === undefined ? [] : bootArgs(boot, 'proxy' in addresses),
  ].flat();
}

function addressArgs(link: string, addresses: DnsmasqWish['addresses']): string[] {
  if ('proxy' in addresses) return [`--dhcp-range=${addresses.proxy},proxy`];
  const { from, to, router, prefix6 } = addresses;
  // Option 3 without a value: no way out, rather than dnsmasq's own address.
  const way = router === undefined ? '--dhcp-option=3' : `--dhcp-option=3,${router}`;
  const announced =
    prefix6 === undefined
      ? []
      : // Lifetime 0: an address for everybody, but no way out through here.
        ['--enable-ra', `--dhcp-range=${prefix6},ra-only`, `--ra-param=${link},10,0`];
  return [`--dhcp-range=${from},${to},1h`, way, ...announced];
}

/** iPXE says so in its user class (option 77); others are given a program by their firmware. */
function bootArgs(clients: BootClients, isProxy: boolean): string[] {
  const { scriptUrl, efiUrl, tftp, plainMacs = [] } = clients;
  const notPlain = plainMacs.length === 0 ? '' : 'tag:!plain,';
  const isIpxe = ['--dhcp-userclass=set:ipxe,iPXE', '--dhcp-match=set:ipxe,175'];
  const script = isProxy
    ? ['X86PC', 'X86-64_EFI', 'BC_EFI'].map(
        (architecture) => `--pxe-service=tag:ipxe,${architecture},"Zero-OS",${scriptUrl}`,
      )
    : [`--dhcp-boot=tag:ipxe,${notPlain}${scriptUrl}`];
  // A proxy's answer is for PXE alone: UEFI asks for HTTP in another way.
  const http = efiUrl === undefined || isProxy ? [] : httpArgs(efiUrl);
  if (tftp === undefined) return [...isIpxe, ...script, ...http];
  const { folder, bios, efi } = tftp;
  const served = ['--enable-tftp', `--tftp-root=${folder}`, '--tftp-no-fail'];
  const loaders = isProxy
    ? [
        `--pxe-service=tag:!ipxe,X86PC,"Zero-OS",${bios}`,
        `--pxe-service=tag:!ipxe,X86-64_EFI,"Zero-OS",${efi}`,
        `--pxe-service=tag:!ipxe,BC_EFI,"Zero-OS",${efi}`,
      ]
    : [
        '--dhcp-match=set:efi,option:client-arch,7',
        '--dhcp-match=set:efi,option:client-arch,9',
        `--dhcp-boot=tag:!ipxe,tag:!http,tag:!efi,${bios}`,
        `--dhcp-boot=tag:!ipxe,tag:!http,tag:efi,${efi}`,
        ...plainMacs.map((mac) => `--dhcp-host=${mac},set:plain`),
        ...(plainMacs.length === 0 ? [] : [`--dhcp-boot=tag:plain,tag:!http,tag:!efi,${bios}`]),
      ];
  return [...isIpxe, ...script, ...http, ...served, ...loaders];
}

/** UEFI 2.10, section 24.7.3: it takes an answer by the same class (option 60), with a URL. */
function httpArgs(efiUrl: string): string[] {
  return [
    '--dhcp-vendorclass=set:http,HTTPClient',
    '--dhcp-option-force=tag:http,60,HTTPClient',
    `--dhcp-boot=tag:http,${efiUrl}`,
  ];
}

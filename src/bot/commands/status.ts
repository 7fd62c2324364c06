import { containerAddress, znetIdOf } from '../../znet/address.ts';
import { paint } from '../../lib/colour.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';
import { findDeployment, type FoundDeployment } from '../deployments.ts';
import { type KnownContract, openBooks, openGrid } from '../grid.ts';
import { readSelf } from '../store.ts';
import { plain, shortId, table } from '../terminal.ts';
import { answer, type World } from '../world.ts';

type Row = {
  readonly container: string;
  readonly node: string;
  readonly state: string;
  readonly because: string;
  readonly address: string | null;
  readonly startedAtMs: number | null;
};

/** `zos status`: how each container stands, by its node's signed word. */
export async function printStatus(world: World, wanted: string): Promise<void> {
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const books = openBooks(grid, self.identity.id);
  const found = await findDeployment(world, grid, { wanted, tenant: self.identity.id });
  const known = await books.contracts(found.contracts);
  const rows = known.flatMap(rowsOf).sort((a, b) => (a.container < b.container ? -1 : 1));
  const contracts = known.map(contractOf);
  const value = { id: found.id, name: found.name, containers: rows, contracts };
  answer(world, value, describe(world, found, { known, rows }));
}

function rowsOf({ contract, receipt, held }: KnownContract): Row[] {
  const { workloads, node, tenant } = held ?? contract;
  return workloads.flatMap((workload): Row[] => {
    if (workload.kind !== 'container') return [];
    const said = receipt?.workloads.find(
      ({ kind, name }) => kind === 'container' && name === workload.name,
    );
    const address =
      workload.znet === null
        ? null
        : containerAddress(znetIdOf(tenant, workload.znet), node, workload.name);
    return [
      {
        container: workload.name,
        node,
        state: said?.state ?? (receipt === null ? 'sent' : receipt.state),
        because: said?.because ?? '',
        address,
        startedAtMs: said?.startedAtMs ?? null,
      },
    ];
  });
}

function contractOf({ contract, receipt, state }: KnownContract): unknown {
  const { id, node, version, notAfterMs } = contract;
  return { id, node, version, state: receipt?.state ?? state, notAfterMs, receipt };
}

function describe(
  world: World,
  { name, id }: FoundDeployment,
  { known, rows }: { readonly known: readonly KnownContract[]; readonly rows: readonly Row[] },
): string {
  const { terminal } = world;
  const nowMs = world.nowMs();
  const hasReasons = rows.some(({ because }) => because !== '');
  const heading = ['container', 'state', 'node', 'address', 'running for'];
  const containers = rows.map((row) => [
    row.container,
    row.state,
    shortId(row.node),
    row.address ?? 'no network',
    row.startedAtMs === null ? '-' : formatDuration(Math.max(0, nowMs - row.startedAtMs)),
    ...(hasReasons ? [plain(row.because)] : []),
  ]);
  const contracts = known.map(({ contract, receipt, state }) => [
    shortId(contract.id),
    shortId(contract.node),
    String(contract.version),
    receipt?.state ?? state,
    endOf(contract.notAfterMs, nowMs),
    refusalOf(receipt),
  ]);
  return [
    `${paint(terminal, 'bold', name)} (${id})\n\n`,
    table([[...heading, ...(hasReasons ? ['because'] : [])], ...containers]),
    '\n',
    table([['contract', 'node', 'version', 'state', 'ends', ''], ...contracts]),
    ...usesOf(known),
  ].join('');
}

/** What its nodes signed that it used so far; nothing while none of them has said. */
function usesOf(known: readonly KnownContract[]): string[] {
  const rows = known.flatMap(({ contract, receipt }) => {
    if (receipt?.meter === undefined) return [];
    const { cpuMs, memoryMibSeconds, storageMibSeconds, receivedBytes, sentBytes } = receipt.meter;
    const hours = (mibSeconds: number): string => (mibSeconds / 1024 / 3600).toFixed(2);
    return [
      [
        shortId(contract.id),
        formatDuration(cpuMs),
        `${hours(memoryMibSeconds)} GiB h`,
        `${hours(storageMibSeconds)} GiB h`,
        formatBytes(receivedBytes),
        formatBytes(sentBytes),
      ],
    ];
  });
  if (rows.length === 0) return [];
  return ['\n', table([['used by', 'cpu', 'memory', 'storage', 'received', 'sent'], ...rows])];
}

function endOf(notAfterMs: number, nowMs: number): string {
  if (notAfterMs <= nowMs) return 'over';
  return `in ${formatDuration(notAfterMs - nowMs)}`;
}

function refusalOf(receipt: KnownContract['receipt']): string {
  if (receipt?.refusal === undefined) return '';
  return plain(`${receipt.refusal.sentence} (${receipt.refusal.code})`);
}

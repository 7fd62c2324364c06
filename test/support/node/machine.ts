import {
  compareContainer,
  type ContainerHave,
  type ContainerSpec,
} from '../../../src/container/plan.ts';
import { digestOf } from '../../../src/container/oci.ts';
import type { Driver } from '../../../src/lib/driver.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { type Drivers, loopDriver, usesNothing } from '../../../src/node/loop/observation.ts';
import { formatBytes } from '../../../src/lib/units.ts';
import {
  changeRefusal,
  compareVolume,
  fileBytesOf,
  type KeptVolume,
  type VolumeHave,
  type VolumeSpec,
} from '../../../src/volume/plan.ts';
import { compareZnet, type ZnetHave, type ZnetSpec } from '../../../src/znet/plan.ts';
import { compareImage, type ImageHave } from '../../../src/zosfs/plan.ts';

/** A machine in memory that keeps state like a real one, and prints itself as text. */
export class Machine {
  readonly firewall = new Set<string>();
  readonly images = new Map<string, ImageHave>();
  readonly znets = new Map<string, ZnetHave>();
  readonly volumes = new Map<string, VolumeHave>();
  readonly containers = new Map<string, ContainerHave>();
  /** Every change, in order. */
  readonly told: string[] = [];
  /** Calls that fail, as `create container web`, with what they say. */
  readonly faults = new Map<string, string>();
  /** Kinds that can't be read, with what reading them says. */
  readonly blind = new Map<string, string>();
  nextPid = 100;
  nextPort = 40_000;

  drivers(): Drivers {
    const all = [
      loopDriver(this.#firewall()),
      loopDriver(this.#image(), usesNothing),
      loopDriver(this.#znet(), usesNothing),
      loopDriver(this.#volume(), usesNothing),
      loopDriver(this.#container()),
    ];
    const seeing = all.map((driver) => ({
      ...driver,
      observe: async (signal: AbortSignal) => {
        const fault = this.blind.get(driver.kind);
        if (fault !== undefined) throw new Error(fault);
        return driver.observe(signal);
      },
    }));
    return new Map(seeing.map((driver) => [driver.kind, driver]));
  }

  /** The program of a container ends, as the kernel shows it. */
  exit(id: string): void {
    const have = this.containers.get(id);
    if (have !== undefined) this.containers.set(id, { ...have, state: 'stopped' });
  }

  print(): string {
    const lines = [
      ...[...this.firewall].map((id) => `firewall ${id}`),
      ...[...this.images.keys()].map((id) => `image ${id.slice(0, 8)} mounted`),
      ...[...this.znets].map(
        ([id, { peers }]) => `znet ${id.slice(0, 8)} up, ${peers.length} peers`,
      ),
      ...[...this.volumes].map(
        ([id, { fileBytes, isMounted }]) =>
          `volume ${id} ${formatBytes(fileBytes)} ${isMounted ? 'open' : 'closed'}`,
      ),
      ...[...this.containers].map(([id, { state, pid }]) => `container ${id} ${state} pid ${pid}`),
    ];
    return lines.join('\n');
  }

  #firewall(): Driver<object, object> {
    return {
      kind: 'firewall',
      observe: async () => new Map([...this.firewall].map((id) => [id, {}])),
      compare: () => ({ change: 'none', because: '' }),
      create: async () => {
        this.#tell('create', 'firewall host');
        this.firewall.add('host');
      },
      update: async () => undefined,
      remove: async () => undefined,
    };
  }

  #image(): Driver<NamedFile, ImageHave> {
    return {
      kind: 'image',
      observe: async () => new Map(this.images),
      compare: compareImage,
      create: async ({ sha256 }) => {
        this.#tell('create', `image ${sha256}`);
        this.images.set(sha256, { sha256, mountPath: `/mnt/${sha256}`, isMounted: true });
      },
      update: async () => undefined,
      remove: async (id) => {
        this.#tell('remove', `image ${id}`);
        this.images.delete(id);
      },
    };
  }

  #znet(): Driver<ZnetSpec, ZnetHave> {
    const peersOf = (spec: ZnetSpec): ZnetHave['peers'] =>
      spec.peers.map(({ publicKey, endpoint, subnet }) => ({
        publicKey,
        endpoint: endpoint ?? undefined,
        allowedIps: [subnet],
        handshakeAgeMs: 0,
      }));
    return {
      kind: 'znet',
      observe: async () => new Map(this.znets),
      compare: compareZnet,
      create: async (spec) => {
        this.#tell('create', `znet ${spec.id}`);
        const publicKey = Buffer.alloc(32, this.nextPort).toString('base64');
        this.nextPort += 1;
        const { id, address } = spec;
        const port = this.nextPort;
        const have = { id, address, publicKey, port, isWhole: true, isPortOpen: true };
        this.znets.set(id, { ...have, peers: peersOf(spec) });
      },
      update: async (spec, have) => {
        this.#tell('update', `znet ${spec.id}`);
        this.znets.set(spec.id, { ...have, peers: peersOf(spec) });
      },
      remove: async (id) => {
        this.#tell('remove', `znet ${id}`);
        this.znets.delete(id);
      },
    };
  }

  #volume(): Driver<VolumeSpec | KeptVolume, VolumeHave> {
    const make = (spec: VolumeSpec): void => {
      const { id, contract, tenant, format, notAfterMs } = spec;
      const label = { id, contract, tenant, format, notAfterMs, class: spec.class };
      const bytes = fileBytesOf(spec);
      this.volumes.set(id, {
        id,
        label: { ...label, disk: 'DISK', isWhole: true },
        filePath: `/disk/${id}`,
        fileBytes: bytes,
        takenBytes: 0,
        loopPath: '/dev/loop0',
        device: 'dm-0',
        deviceBytes: spec.lengthBytes,
        isMounted: true,
      });
    };
    return {
      kind: 'volume',
      observe: async () => new Map(this.volumes),
      compare: compareVolume,
      create: async (spec) => {
        this.#tell('create', `volume ${spec.id}`);
        if (!('isKept' in spec)) make(spec);
      },
      update: async (spec, have) => {
        this.#tell('update', `volume ${spec.id}`);
        if ('isKept' in spec) return;
        const refusal = changeRefusal(spec, have);
        if (refusal !== undefined) throw new Error(refusal);
        make(spec);
      },
      remove: async (id) => {
        this.#tell('remove', `volume ${id}`);
        this.volumes.delete(id);
      },
    };
  }

  #container(): Driver<ContainerSpec, ContainerHave> {
    const start = (spec: ContainerSpec): void => {
      this.nextPid += 1;
      this.containers.set(spec.id, {
        id: spec.id,
        digest: digestOf(spec),
        state: 'running',
        pid: this.nextPid,
        startTicks: this.nextPid,
        startedAtMs: 1_700_000_000_000 + this.nextPid,
        oomKills: 0,
        logBytes: 0,
        counts: { cpuMs: 0, memoryBytes: 0, receivedBytes: 0, sentBytes: 0 },
      });
    };
    return {
      kind: 'container',
      observe: async () => new Map(this.containers),
      compare: compareContainer,
      create: async (spec) => {
        this.#tell('create', `container ${spec.id}`);
        start(spec);
      },
      update: async (spec) => {
        this.#tell('update', `container ${spec.id}`);
        start(spec);
      },
      remove: async (id) => {
        this.#tell('remove', `container ${id}`);
        this.containers.delete(id);
      },
    };
  }

  #tell(doing: string, what: string): void {
    const fault = this.faults.get(`${doing} ${what}`);
    if (fault !== undefined) throw new Error(fault);
    this.told.push(`${doing} ${what}`);
  }
}

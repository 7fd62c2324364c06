import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { measureNext } from '../../../src/attestation/apply.ts';
import { type Attestor, openAttestor } from '../../../src/attestation/observe.ts';
import type { ExpectedEvent, Measurements } from '../../../src/attestation/spec.ts';
import type { Tpm } from '../../../src/host/tpm/device.ts';
import { extendPcr } from '../../../src/host/tpm/pcr.ts';
import { sha256Hex, toBase64, utf8 } from '../../../src/lib/bytes.ts';

/** What a firmware of these tests measures, and how it names it in its log. */
export type Measured = ExpectedEvent & { readonly register: number; readonly type: number };

const EV_IPL = 0xd;

/** An event whose content is its own name. */
export function measuredText(register: number, what: string): Measured {
  return { register, what, type: EV_IPL, sha256: sha256Hex(utf8(what)) };
}

export const HONEST: readonly Measured[] = [
  measuredText(0, 'firmware'),
  measuredText(4, 'calling'),
  measuredText(4, 'zos.efi'),
  measuredText(7, 'secure boot on'),
  measuredText(7, 'db'),
  measuredText(11, '.linux'),
  measuredText(11, '.cmdline'),
];
export const SYSTEM = sha256Hex(utf8('system'));

/** The crypto-agile log of these events, as a firmware writes it. */
export function eventLogOf(events: readonly Measured[]): Uint8Array {
  const spec = Buffer.concat([
    Buffer.from('Spec ID Event03\0'),
    Buffer.from([0, 0, 0, 0, 0, 2, 0, 2]),
    u32(1),
    Buffer.from([0x0b, 0, 32, 0]),
    Buffer.from([0]),
  ]);
  const head = Buffer.concat([u32(0), u32(3), Buffer.alloc(20), u32(spec.length), spec]);
  const rest = events.map(({ register, type, sha256, what }) => {
    const content = Buffer.from(what, 'utf16le');
    const digest = Buffer.concat([Buffer.from([0x0b, 0]), Buffer.from(sha256, 'hex')]);
    return Buffer.concat([u32(register), u32(type), u32(1), digest, u32(content.length), content]);
  });
  return new Uint8Array(Buffer.concat([head, ...rest]));
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** What a release with this honest first stage and system says. */
export function measurementsOf(certificates: readonly string[]): Measurements {
  const events = (register: number): ExpectedEvent[] =>
    HONEST.filter((event) => event.register === register).map(({ what, sha256 }) => ({
      what,
      sha256,
    }));
  return {
    firstStages: [{ release: 'test 1', pcr4: events(4), pcr7: events(7), pcr11: events(11) }],
    kernels: [],
    systems: [SYSTEM],
    endorsementRoots: certificates.map((pem) =>
      toBase64(new Uint8Array(new X509Certificate(pem).raw)),
    ),
  };
}

/** What a boot leaves: the firmware's log, and what PCR 14 was extended by. */
export type TestBoot = AsyncDisposable & {
  readonly eventLogPath: string;
  readonly extendedPath: string;
};

type BootWish = {
  readonly tpm: Tpm;
  readonly events?: readonly Measured[];
  readonly systems?: readonly string[];
};

/** Boots on a TPM that was just switched on: extends its registers as a firmware does. */
export async function bootMachine(wish: BootWish): Promise<TestBoot> {
  const { tpm, events = HONEST, systems = [SYSTEM] } = wish;
  const folder = await mkdtemp('/tmp/zos-machine-');
  for (const { register, sha256 } of events) await extendPcr(tpm, register, sha256);
  const [eventLogPath, extendedPath] = [`${folder}/log`, `${folder}/extended`];
  await writeFile(eventLogPath, eventLogOf(events));
  for (const sha256 of systems) await measureNext(tpm, sha256, extendedPath);
  return {
    eventLogPath,
    extendedPath,
    [Symbol.asyncDispose]: async () => rm(folder, { recursive: true, force: true }),
  };
}

/** The same, with its node that answers for it. */
export async function bootAttestor(
  wish: BootWish,
): Promise<AsyncDisposable & { readonly attestor: Attestor }> {
  const machine = await bootMachine(wish);
  return { ...machine, attestor: await openAttestor({ tpm: wish.tpm, ...machine }) };
}

/** A nonce that nobody used before. */
export function nonceOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

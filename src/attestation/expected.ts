import { bigEndian, ByteReader, concatBytes, fromHex, sha256Hex, utf8 } from '../lib/bytes.ts';
import { authenticodeSha256, readSections } from '../lib/pe.ts';
import type { ExpectedEvent, FirstStage } from './spec.ts';

/** A firmware's own variables, and its lists of keys (UEFI 2.10, 3.3 and 32.6.1), as in memory. */
const GLOBAL = '61dfe48bca93d211aa0d00e098032b8c';
const SECURITY = 'cbb219d73a3d9645a3bcdad00e67656f';

/** What systemd's stub measures into PCR 11, in its order (systemd-stub(7), UAPI.5). */
const SECTIONS = ['.linux', '.osrel', '.cmdline', '.initrd', '.ucode', '.splash', '.dtb'];
const LATER_SECTIONS = ['.uname', '.sbat', '.pcrpkey'];

export type SignedBoot = {
  readonly release: string;
  /** The programs that firmware checks and starts, one after the other, the last a signed UKI. */
  readonly programs: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /**
   * What is in the firmware's variables PK, KEK and db: one list of one certificate each. `dbx`,
   * the list of what must not start, is empty in a firmware that took these from setup mode.
   */
  readonly lists: Readonly<Record<'PK' | 'KEK' | 'db', Uint8Array>>;
};

/**
 * What a UEFI firmware with Secure Boot measures when it starts this release and nothing else (TCG
 * PC Client Platform Firmware Profile, 3.3.4). Throws `PeError` for what is no program.
 */
export function expectedFirstStage({ release, programs, lists }: SignedBoot): FirstStage {
  const last = programs.at(-1);
  return {
    release,
    pcr4: [
      told('action', utf8('Calling EFI Application from Boot Option')),
      told('separator', new Uint8Array(4)),
      ...programs.map(({ name, bytes }) => ({ what: name, sha256: authenticodeSha256(bytes) })),
    ],
    pcr7: [
      told('variable "SecureBoot"', variable(GLOBAL, 'SecureBoot', Uint8Array.of(1))),
      told('variable "PK"', variable(GLOBAL, 'PK', lists.PK)),
      told('variable "KEK"', variable(GLOBAL, 'KEK', lists.KEK)),
      told('variable "db"', variable(SECURITY, 'db', lists.db)),
      told('variable "dbx"', variable(SECURITY, 'dbx', new Uint8Array())),
      told('separator', new Uint8Array(4)),
      // Measured once, however many programs it is that this key checks.
      told('signed by "db"', variable(SECURITY, 'db', firstEntry(lists.db))),
    ],
    pcr11: last === undefined ? [] : sectionEvents(last.bytes),
  };
}

/** What is left of a signed change of a variable (EFI_VARIABLE_AUTHENTICATION_2): its new value. */
export function listInUpdate(update: Uint8Array): Uint8Array {
  const reader = new ByteReader(update, 'little');
  reader.take(16); // EFI_TIME.
  reader.take(reader.u32() - 4); // WIN_CERTIFICATE, its length in front.
  return reader.take(reader.left);
}

function sectionEvents(uki: Uint8Array): ExpectedEvent[] {
  const sections = readSections(uki);
  return [...SECTIONS, ...LATER_SECTIONS].flatMap((name) => {
    const section = sections.find((candidate) => candidate.name === name);
    if (section === undefined) return [];
    return [told(`name ${name}`, utf8(`${name}\0`)), told(name, section.bytes)];
  });
}

function told(what: string, content: Uint8Array): ExpectedEvent {
  return { what, sha256: sha256Hex(content) };
}

/** UEFI_VARIABLE_DATA: whose, both lengths, the name in UTF-16 without an end, the value. */
function variable(owner: string, name: string, value: Uint8Array): Uint8Array {
  const lengths = concatBytes(littleEndian8(name.length), littleEndian8(value.length));
  const wide = new Uint8Array(Buffer.from(name, 'utf16le'));
  return concatBytes(fromHex(owner) ?? new Uint8Array(), lengths, wide, value);
}

/** EFI_SIGNATURE_DATA of the only entry of an EFI_SIGNATURE_LIST (UEFI 2.10, 32.4.1). */
function firstEntry(list: Uint8Array): Uint8Array {
  const reader = new ByteReader(list, 'little');
  reader.take(16); // The kind of signature.
  reader.u32(); // The length of the list.
  const headerBytes = reader.u32();
  const entryBytes = reader.u32();
  reader.take(headerBytes);
  return reader.take(entryBytes);
}

function littleEndian8(value: number): Uint8Array {
  return concatBytes(bigEndian(value, 4).toReversed(), new Uint8Array(4));
}

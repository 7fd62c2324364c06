import { readFileSync } from 'node:fs';
import nacl from 'tweetnacl';
import { fromBase64, utf8 } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { formatNoteKey, type NoteSigner, noteKeyOf } from '../../../src/record/note.ts';
import { parsePolicy, type Policy } from '../../../src/record/policy.ts';

/** A signer whose key is one byte 32 times, as in `test/vectors/c2sp-record.json`. */
export function signerOf(name: string, byte: number): NoteSigner {
  return { name, ...nacl.sign.keyPair.fromSeed(new Uint8Array(32).fill(byte)) };
}

export const LOG = signerOf('directory.example/record', 1);
export const WITNESSES: readonly NoteSigner[] = [
  signerOf('w1.example/witness', 10),
  signerOf('w2.example/witness', 11),
  signerOf('w3.example/witness', 12),
];

/** A line of a policy for a signer. */
export function vkeyOf(signer: NoteSigner, type: 'ed25519' | 'cosignature-v1'): string {
  return formatNoteKey(noteKeyOf(signer.name, type, signer.publicKey));
}

/** The log above, and as many of its witnesses as are needed. */
export function policyOf(needed: number): Policy {
  return parsePolicy(utf8(policyTextOf(needed)));
}

/** The same as it is written. */
export function policyTextOf(needed: number): string {
  const lines = [
    `log ${vkeyOf(LOG, 'ed25519')}`,
    ...WITNESSES.map((witness, at) => `witness w${at + 1} ${vkeyOf(witness, 'cosignature-v1')}`),
    `group all-of-them ${needed} w1 w2 w3`,
    'quorum all-of-them',
  ];
  return `${lines.join('\n')}\n`;
}

/** What others' software made of a log of 1,000 entries. */
export type RecordVectors = {
  readonly logKey: string;
  readonly witnessKeys: readonly string[];
  readonly policy: string;
  readonly checkpoint: string;
  readonly heads: readonly { readonly size: number; readonly root: string }[];
  readonly inclusion: readonly {
    readonly index: number;
    readonly proof: readonly string[];
    readonly tlogProof: string;
  }[];
  readonly consistency: readonly { readonly older: number; readonly proof: readonly string[] }[];
  readonly tileSha256: Readonly<Record<string, string>>;
};

/** The vectors that golang.org/x/mod and transparency-dev/formats made. */
export function recordVectors(): RecordVectors {
  const file = new URL('../../vectors/c2sp-record.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as RecordVectors;
}

/** The bytes of base64 that is known to be some. */
export function bytesOf(text: string | undefined): Uint8Array {
  return fromBase64(text ?? '') ?? new Uint8Array();
}

/** How a check ended: `holds`, or the code of what it threw. */
export function verdict(check: () => unknown): string {
  try {
    check();
    return 'holds';
  } catch (error) {
    return codeOf(error);
  }
}

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { describeEvent, measured, parseEventLog } from '../../attestation/event-log.ts';
import { EVENT_LOG_PATH } from '../../attestation/observe.ts';
import { isRefusal } from '../../host/tpm/command.ts';
import { openTpm, type Tpm, TpmError } from '../../host/tpm/device.ts';
import { openSecretBlob, sealSecret } from '../../host/tpm/sealed.ts';
import { fromBase64, toBase64 } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';

export class SealError extends ZosError<
  'KEY_SEALED_ELSEWHERE' | 'KEY_BOOT_CHANGED' | 'KEY_UNREADABLE'
> {}

/** The register into which the firmware measures Secure Boot and its keys (TCG PFP, 3.3.4.8). */
const POLICY_REGISTER = 7;
const EVENTS_MAX = 64;

const base64 = z.base64().min(4).max(2000);

/** A secret that a TPM sealed, as it lies on a disk. */
export const sealedSchema = z.strictObject({
  private: base64,
  public: base64,
  /** What Secure Boot was then, in words; `null` where it is bound to the TPM only. */
  boot: z.array(z.string().max(200)).max(EVENTS_MAX).nullable(),
});
export type Sealed = z.infer<typeof sealedSchema>;

/** The machine's TPM as what the node's key is sealed by. */
export type Sealer = {
  /** Whether it seals to the keys of Secure Boot too. */
  readonly isBoundToBoot: boolean;
  readonly seal: (secret: Uint8Array) => Promise<Sealed>;
  /** Throws `SealError`, which says what changed. */
  readonly open: (sealed: Sealed) => Promise<Uint8Array>;
};

/**
 * The sealer of this machine, or `undefined` where there is no TPM. Where Secure Boot is on, what
 * it seals opens only as long as the same keys decide what may boot: another operating system on
 * the same machine gets nothing.
 */
export async function openSealer(parts: {
  readonly isSecureBoot: boolean;
  readonly open?: () => Promise<Tpm>;
  readonly eventLogPath?: string;
}): Promise<Sealer | undefined> {
  const { isSecureBoot, open = openTpm, eventLogPath = EVENT_LOG_PATH } = parts;
  const isThere = await isTpmThere(open);
  if (!isThere) return undefined;
  const registersOf = (isBound: boolean): number[] => (isBound ? [POLICY_REGISTER] : []);
  return {
    isBoundToBoot: isSecureBoot,
    seal: async (secret) => {
      const boot = isSecureBoot ? await bootWords(eventLogPath) : null;
      const blob = await withTpm(open, async (tpm) =>
        sealSecret(tpm, secret, registersOf(isSecureBoot)),
      );
      return { private: toBase64(blob.private), public: toBase64(blob.public), boot };
    },
    open: async (sealed) => {
      const [privatePart, publicPart] = [fromBase64(sealed.private), fromBase64(sealed.public)];
      const blob = {
        private: privatePart ?? new Uint8Array(),
        public: publicPart ?? new Uint8Array(),
      };
      try {
        return await withTpm(open, async (tpm) =>
          openSecretBlob(tpm, blob, registersOf(sealed.boot !== null)),
        );
      } catch (error) {
        throw await sealErrorOf(error, sealed, eventLogPath);
      }
    },
  };
}

/** That there is no TPM to open it with: the disk came out of another machine. */
export function noTpm(): SealError {
  return new SealError(
    'KEY_SEALED_ELSEWHERE',
    'The key of this node is sealed by a TPM, and this machine has none; put the disk back.',
  );
}

async function sealErrorOf(
  error: unknown,
  sealed: Sealed,
  eventLogPath: string,
): Promise<ZosError> {
  if (!(error instanceof TpmError)) throw error;
  if (isRefusal(error, 'TPM_RC_POLICY_FAIL', 'TPM_RC_POLICY')) {
    const changes = changesOf(sealed.boot ?? [], await bootWords(eventLogPath));
    return new SealError(
      'KEY_BOOT_CHANGED',
      `The key of this node is sealed to another Secure Boot: ${changes}; put the firmware back.`,
      { cause: error },
    );
  }
  if (isRefusal(error, 'TPM_RC_INTEGRITY', 'TPM_RC_SIZE', 'TPM_RC_VALUE')) {
    return new SealError(
      'KEY_SEALED_ELSEWHERE',
      'The key of this node is sealed by the TPM of another machine; put the disk back there.',
      { cause: error },
    );
  }
  return error;
}

/** What is there now and was not, and what is gone; pure. */
export function changesOf(before: readonly string[], now: readonly string[]): string {
  const gone = before.filter((word) => !now.includes(word)).map((word) => `${word} is gone`);
  const come = now.filter((word) => !before.includes(word)).map((word) => `${word} is new`);
  const all = [...gone, ...come];
  return all.length === 0 ? 'its order changed' : all.slice(0, 6).join(', ');
}

/** What the firmware measured of Secure Boot, event by event. */
async function bootWords(eventLogPath: string): Promise<string[]> {
  try {
    const { events } = parseEventLog(new Uint8Array(await readFile(eventLogPath)));
    const words = measured(events, POLICY_REGISTER).map((event) => describeEvent(event));
    return words.map((word) => word.slice(0, 200)).slice(0, EVENTS_MAX);
  } catch {
    // Without a log there is no telling what changed; that it changed is the TPM's word.
    return [];
  }
}

type Opening = () => Promise<Tpm>;

async function withTpm<T>(open: Opening, work: (tpm: Tpm) => Promise<T>): Promise<T> {
  await using tpm = await open();
  // Waited for here: else the TPM would be closed while it is at work.
  const done = await work(tpm);
  return done;
}

async function isTpmThere(open: Opening): Promise<boolean> {
  try {
    return await withTpm(open, async () => true);
  } catch (error) {
    if (error instanceof TpmError && error.code === 'TPM_ABSENT') return false;
    throw error;
  }
}

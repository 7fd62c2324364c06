import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { ZodError } from 'zod';
import { type Envelope, signEnvelope } from '../../identity/envelope.ts';
import { KiB } from '../../lib/units.ts';
import { type NetworkSettings, uplinkSettingsSchema } from '../../uplink/spec.ts';
import { BotError } from '../errors.ts';
import type { Self } from '../store.ts';

/** As much as boot media have room for, beside token and farmer. */
const FILE_BYTES_MAX = 4 * KiB;

/** Signs how the machines of a farm reach out, out of a YAML or JSON file; throws `BotError`. */
export async function signNetwork(path: string, self: Self, grid: string): Promise<Envelope> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new BotError('FILE_UNREADABLE', `${path} can't be read; check its name.`, { cause });
  });
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) {
    throw refusal(path, `it has more than ${FILE_BYTES_MAX} bytes; sign fewer machines at a time`);
  }
  const value: NetworkSettings = { ...parseSettings(path, text), grid, farmer: self.identity.id };
  return signEnvelope('network', value, self.keys.signing);
}

function parseSettings(path: string, text: string) {
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    const [line = ''] = error instanceof Error ? error.message.split('\n') : [];
    throw refusal(path, line);
  }
  const parsed = uplinkSettingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw refusal(path, whereOf(parsed.error));
}

function whereOf({ issues: [first] }: ZodError): string {
  const where = first?.path.join('.') ?? '';
  return `${where === '' ? '' : `${where}: `}${first?.message ?? 'not as expected'}`;
}

function refusal(path: string, reason: string): BotError {
  const help = 'See `zos farm token --help`.';
  return new BotError('USAGE', `${path} holds no network settings: ${reason}. ${help}`);
}

import { z } from 'zod';
import { ExecError, run } from '../exec.ts';
import { KiB, SECOND_MS } from '../../lib/units.ts';

/** What a disk says of its own health. */
export type DiskHealth = {
  readonly state: 'good' | 'failing' | 'unknown';
  /** Hours that it was on. */
  readonly hoursOn?: number;
  readonly celsius?: number;
  /** Of solid-state disks: how much of what it was made for is used up. */
  readonly wornPercent?: number;
  /** Why it is failing, in the disk's own words; '' where it is not. */
  readonly because: string;
};

const DEADLINE_MS = 30 * SECOND_MS;
const OUTPUT_BYTES_MAX = 512 * KiB;

const answerSchema = z.object({
  smart_status: z.object({ passed: z.boolean() }).optional(),
  power_on_time: z.object({ hours: z.number() }).optional(),
  temperature: z.object({ current: z.number() }).optional(),
  nvme_smart_health_information_log: z
    .object({
      critical_warning: z.number(),
      percentage_used: z.number().optional(),
    })
    .optional(),
  ata_smart_attributes: z
    .object({ table: z.array(z.object({ name: z.string(), when_failed: z.string() })) })
    .optional(),
});

/** Asks a disk how it is (`smartctl`, smartmontools); one that has no such thing is unknown. */
export async function readHealth(path: string): Promise<DiskHealth> {
  try {
    const args = ['--json', '--health', '--attributes', '--nocheck=standby', path];
    return parseHealth(
      await run({
        file: 'smartctl',
        args,
        deadlineMs: DEADLINE_MS,
        outputBytesMax: OUTPUT_BYTES_MAX,
        isStatusAnswer: true,
      }),
    );
  } catch (error) {
    if (error instanceof ExecError) return UNKNOWN;
    throw error;
  }
}

const UNKNOWN: DiskHealth = { state: 'unknown', because: '' };

/** Reads smartctl's JSON; whatever else comes is a disk of which nothing is known. */
export function parseHealth(text: string): DiskHealth {
  const read = answerSchema.safeParse(parsed(text));
  if (!read.success || read.data.smart_status === undefined) return UNKNOWN;
  const { smart_status: status, nvme_smart_health_information_log: nvme } = read.data;
  const worst = (read.data.ata_smart_attributes?.table ?? [])
    .filter(({ when_failed: when }) => when === 'now')
    .map(({ name }) => name.replaceAll(/[^A-Za-z0-9_-]/gu, '').slice(0, 40));
  const warning = nvme?.critical_warning ?? 0;
  const isFailing = !status.passed || worst.length > 0 || warning !== 0;
  const words = [...worst, ...warningWords(warning)].slice(0, 4).join(', ');
  const hours = read.data.power_on_time?.hours;
  const celsius = read.data.temperature?.current;
  const worn = nvme?.percentage_used;
  return {
    state: isFailing ? 'failing' : 'good',
    because: isFailing ? words || 'it expects to fail' : '',
    ...(hours === undefined ? {} : { hoursOn: Math.round(hours) }),
    ...(celsius === undefined ? {} : { celsius: Math.round(celsius) }),
    ...(worn === undefined ? {} : { wornPercent: Math.round(worn) }),
  };
}

/** Bits of the Critical Warning field (NVM Express base specification, SMART / Health log). */
const WARNINGS = [
  'little spare room is left',
  'it is too hot or too cold',
  'it is no longer reliable',
  'it became read-only',
  'its memory for power cuts failed',
] as const;

function warningWords(warning: number): string[] {
  return WARNINGS.filter((_, bit) => (warning & (1 << bit)) !== 0);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

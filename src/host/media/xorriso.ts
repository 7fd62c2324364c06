import { MINUTE_MS } from '../../lib/units.ts';
import { run } from '../exec.ts';

export type DiscFile = {
  readonly from: string;
  /** Its absolute path on the disc. */
  readonly to: string;
};

export type DiscWish = {
  readonly path: string;
  readonly label: string;
  /** What a BIOS starts from the disc, and what UEFI does; absolute paths on the disc. */
  readonly boot: { readonly bios: string; readonly efi: string };
  readonly files: readonly DiscFile[];
  readonly timeSeconds: number;
};

/** Where the two things that firmware starts lie, in blocks of 2048 bytes. */
export type BootPlaces = { readonly bios: number; readonly efi: number };

/** Makes an ISO 9660 image with El Torito entries for BIOS and UEFI; throws `ExecError`. */
export async function makeDisc(wish: DiscWish): Promise<BootPlaces> {
  const { path, label, boot, files, timeSeconds } = wish;
  const env = { SOURCE_DATE_EPOCH: `${timeSeconds}`, TZ: 'UTC0' };
  await run({
    file: 'xorriso',
    args: [
      ['-as', 'mkisofs', '-quiet', '-o', path, '-V', label],
      ['-b', boot.bios.slice(1), '-no-emul-boot', '-boot-load-size', '4'],
      ['-boot-info-table', '--grub2-boot-info', '--set_all_file_dates', `=${timeSeconds}`],
      ['-eltorito-alt-boot', '-e', boot.efi.slice(1), '-no-emul-boot'],
      ['-graft-points', ...files.map(({ from, to }) => `${graft(to)}=${graft(from)}`)],
    ].flat(),
    env,
    deadlineMs: 10 * MINUTE_MS,
  });
  const report = await run({
    file: 'xorriso',
    args: ['-indev', path, '-report_el_torito', 'plain'],
    env,
  });
  return { bios: placeOf(report, 'BIOS'), efi: placeOf(report, 'UEFI') };
}

/** `=` and backslash mean something to mkisofs. */
function graft(path: string): string {
  return path.replaceAll(/[=\\]/gu, String.raw`\$&`);
}

function placeOf(report: string, platform: string): number {
  const row = new RegExp(`^El Torito boot img :.* ${platform} .* (?<lba>\\d+)$`, 'mu').exec(report);
  return Number(row?.groups?.['lba'] ?? Number.NaN);
}

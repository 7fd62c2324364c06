import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sentenceOf } from '../src/lib/errors.ts';
import { allowedIn, allowedInInitramfs } from './audit/allowed.ts';
import { openErofs, openInitramfs } from './audit/open.ts';
import { auditBill, auditImage } from './audit/rules.ts';
import { billNpm } from './bill/contents.ts';
import { packageFolders } from './debian/packages.ts';
import { readPins } from './debian/pins.ts';
import { readKernelModules } from './parts/module-set.ts';
import { imagePaths } from './paths.ts';
import type { Finding, Found } from './audit/rules.ts';
import type { Paths } from './paths.ts';

/** What the audit reads back of the bill; `image/bill/sbom.ts` writes it. */
const sbomSchema = z.object({
  packages: z.array(
    z.object({
      name: z.string(),
      versionInfo: z.string(),
      externalRefs: z.array(z.object({ referenceLocator: z.string() })).default([]),
    }),
  ),
  files: z.array(
    z.object({
      fileName: z.string(),
      checksums: z.array(z.object({ algorithm: z.string(), checksumValue: z.string() })),
    }),
  ),
});

export type Audit = {
  readonly image: string;
  readonly entries: number;
  readonly findings: Finding[];
};

/**
 * Opens what `npm run image` made, as it will be served, and holds it against the pages of source
 * and the bill of materials. Reads nothing of how it was made but the list of bundled packages.
 */
export async function auditRelease(paths: Paths): Promise<Audit[]> {
  const pins = await readPins();
  const folders = packageFolders(pins, join(paths.work, 'packages'));
  const kernel = await readKernelModules({ folders, kernel: pins.kernel });
  const tools = { folders, scratch: paths.work };
  const archive = new Uint8Array(await readFile(join(paths.release, 'initramfs.cpio')));
  const initramfs = openInitramfs(archive);
  // The first stage's image is taken out of the archive that is served.
  const firstPath = join(paths.work, 'first-audited.erofs');
  await writeFile(firstPath, initramfs.find(({ path }) => path === '/first.erofs')?.bytes ?? '');
  const first = await openErofs({ ...tools, image: firstPath });
  const second = await openErofs({ ...tools, image: join(paths.release, 'system.erofs') });
  return [
    audit('initramfs.cpio', initramfs, auditImage(initramfs, allowedInInitramfs(kernel))),
    audit('first.erofs', first, auditImage(first, allowedIn('first', kernel))),
    audit('system.erofs', second, auditImage(second, allowedIn('second', kernel))),
    await auditSbom(paths, [...initramfs, ...first, ...second]),
  ];
}

async function auditSbom(paths: Paths, found: readonly Found[]): Promise<Audit> {
  const text = await readFile(join(paths.release, 'sbom.spdx.json'), 'utf8');
  const sbom = sbomSchema.parse(JSON.parse(text));
  const billed = sbom.files.map(({ fileName, checksums }): [string, string] => [
    fileName.slice(1),
    checksums.find(({ algorithm }) => algorithm === 'SHA256')?.checksumValue ?? '',
  ]);
  const inputs = z.array(z.string()).parse(JSON.parse(await readFile(paths.bundleInputs, 'utf8')));
  const bundled = await billNpm(paths.root, inputs);
  const named = bundled.map(({ name, version }) => `${name}@${version}`);
  const npm = sbom.packages.flatMap(({ name, versionInfo, externalRefs }) =>
    externalRefs.some((ref) => ref.referenceLocator.startsWith('pkg:npm/'))
      ? [`${name}@${versionInfo}`]
      : [],
  );
  return audit('sbom.spdx.json', sbom.files, [
    ...auditBill(found, new Map(billed)),
    ...without(named, npm).map((path) => finding('NOT_IN_SBOM', path, 'It is in zos-node.')),
    ...without(npm, named).map((path) => finding('NOT_IN_IMAGE', path, 'It is not in zos-node.')),
  ]);
}

function without(all: readonly string[], taken: readonly string[]): string[] {
  return all.filter((name) => !taken.includes(name));
}

function finding(code: Finding['code'], path: string, sentence: string): Finding {
  return { code, path, sentence };
}

function audit(image: string, entries: readonly unknown[], findings: Finding[]): Audit {
  return { image, entries: entries.length, findings };
}

/** Prints each image's findings, and answers whether there were none. */
export function printAudits(audits: readonly Audit[], say: (line: string) => void): boolean {
  for (const { image, entries, findings } of audits) {
    say(`${image}: ${entries} entries, ${findings.length === 0 ? 'passed' : 'FAILED'}`);
    for (const { code, path, sentence } of findings) say(`  ${code} ${path}: ${sentence}`);
  }
  return audits.every(({ findings }) => findings.length === 0);
}

if (import.meta.main) {
  try {
    const audits = await auditRelease(imagePaths());
    if (!printAudits(audits, (line) => console.log(`audit: ${line}`))) process.exitCode = 1;
  } catch (error) {
    console.error(`audit: ${sentenceOf(error)}`);
    process.exitCode = 1;
  }
}

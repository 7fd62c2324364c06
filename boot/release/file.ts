import { rename, rm, writeFile } from 'node:fs/promises';

/** Writes a file in one step: whoever reads sees the old one or the new one. */
export async function publishFile(path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.part`;
  await rm(part, { force: true });
  await writeFile(part, bytes, { mode: 0o644 });
  await rename(part, path);
}

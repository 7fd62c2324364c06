import { access } from 'node:fs/promises';

/** Whether a folder holds a node's identity, whole. */
export async function hasRecords(folder: string): Promise<boolean> {
  return access(`${folder}/key.json`).then(
    () => true,
    () => false,
  );
}

import { verifyConsent } from '../../disk/consent.ts';
import type { App, Directory } from '../routes/app.ts';
import { addFarmerWord } from '../routes/farmer-word.ts';

/** What farmers allow their nodes to do with disks. */
export function addDiskRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;
  addFarmerWord(app, directory, {
    name: 'disks',
    tag: 'farms',
    verify: (word, farmer, farm) => verifyConsent(word, farmer, { grid, farm, nowMs: nowMs() }),
    put: async (word, document) => {
      await store.putConsent(word, document, nowMs());
      return word.value.id;
    },
  });
}

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sentenceOf } from '../src/lib/errors.ts';
import { ensureSecureBootKeys, signCode } from './release/secure-boot.ts';

/** What firmware or kernel starts: the image build makes it, db's key of Secure Boot signs it. */
const CODE = ['vmlinuz', 'zos.efi', 'systemd-bootx64.efi'];

if (import.meta.main) {
  try {
    const dist = fileURLToPath(new URL('../dist', import.meta.url));
    const keys = await ensureSecureBootKeys(join(dist, 'keys'));
    for (const name of CODE) {
      await signCode({ from: join(dist, 'work', name), to: join(dist, 'release', name), keys });
    }
  } catch (error) {
    console.error(`code: ${sentenceOf(error)}`);
    process.exitCode = 1;
  }
}

import { FILES } from '../files.ts';
import { BOOT_MODULES, CARD_MODULES, FIRMWARE, FIRST_MODULES, SECOND_MODULES } from '../modules.ts';
import { closeModules, imagePathOf } from '../parts/module-set.ts';
import type { Stage } from '../files.ts';
import type { KernelModules } from '../parts/module-set.ts';
import type { Allowed } from './rules.ts';

/** Names of the modules of a stage; the second has those of the first as well, but for cards'. */
export function moduleNamesOf(stage: Stage): string[] {
  const others = stage === 'first' ? CARD_MODULES : SECOND_MODULES;
  const groups = [...FIRST_MODULES, ...others];
  return groups.flatMap((group) => group.names);
}

/** What a stage's erofs image holds by the pages of source: no more, no less. */
export function allowedIn(stage: Stage, kernel: KernelModules): Allowed {
  const allowed = new Map<string, string>();
  for (const { path, why, stages } of FILES) if (stages.includes(stage)) allowed.set(path, why);
  for (const { names, why } of FIRMWARE) {
    for (const name of names) allowed.set(`/usr/lib/firmware/${name}`, why);
  }
  for (const name of closeModules(kernel, moduleNamesOf(stage))) {
    allowed.set(imagePathOf(kernel, name), 'a module of image/modules.ts, or needed by one');
  }
  return allowed;
}

/** What the initramfs holds around the first stage's image. */
export function allowedInInitramfs(kernel: KernelModules): Allowed {
  const modules = closeModules(kernel, BOOT_MODULES).map((name): [string, string] => [
    `/modules/${name}.ko.xz`,
    'needed to mount first.erofs',
  ]);
  return new Map([
    ['/init', 'PID 1 of the first stage'],
    ['/first.erofs', 'the first stage'],
    ...modules,
  ]);
}

import { ZosError } from '../src/lib/errors.ts';

/** What can go wrong while a release is signed or served, or a lab is set up. */
export class BootError extends ZosError<
  | 'KEY_DAMAGED'
  | 'KEY_MISSING'
  | 'ROOT_UNSIGNED'
  | 'MIRROR_FAILED'
  | 'PART_MISSING'
  | 'NOT_ROOT'
  | 'LAB_FULL'
  | 'PORT_IN_USE'
  | 'GUEST_ENDED'
  | 'GUEST_TOO_SLOW'
  | 'LINK_MISSING'
  | 'ALREADY_RUNNING'
  | 'PROGRAM_FAILED'
  | 'PAGE_MISSING'
  | 'USAGE'
> {}

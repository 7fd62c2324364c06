import { ZosError } from '../src/lib/errors.ts';

export class ImageError extends ZosError<
  | 'MIRROR_UNKNOWN'
  | 'MIRROR_UNTRUSTED'
  | 'PIN_GONE'
  | 'PIN_MISMATCH'
  | 'PINS_INVALID'
  | 'TOOL_MISSING'
  | 'FILE_MISSING'
  | 'LIBRARY_MISSING'
  | 'LIBRARY_SUPERFLUOUS'
  | 'MODULE_UNKNOWN'
  | 'SPACE_SHORT'
  | 'NOT_REPRODUCIBLE'
  | 'NOT_ASCII'
  | 'CACHE_REFUSED'
  | 'BUILD_RUNNING'
  | 'AUDIT_FAILED'
> {}

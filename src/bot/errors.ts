import type { NodeClass } from '../capacity/spec.ts';
import { ZosError } from '../lib/errors.ts';

/** What can go wrong in a command; each sentence says what to do next. */
export class BotError extends ZosError<
  | 'USAGE'
  | 'FILE_UNREADABLE'
  | 'SECRET_UNREADABLE'
  | 'PRICE_CHANGED'
  | 'FILE_INVALID'
  | 'HOME_DAMAGED'
  | 'HOME_UNWRITABLE'
  | 'IDENTITY_MISSING'
  | 'IDENTITY_EXISTS'
  | 'IDENTITY_FIXED'
  | 'DEVICE_UNKNOWN'
  | 'TEAM_UNKNOWN'
  | 'FARM_MISSING'
  | 'FARM_EXISTS'
  | 'RELEASE_UNKNOWN'
  | 'DIRECTORY_MISSING'
  | 'DIRECTORY_CHANGED'
  | 'NO_ROOM'
  | 'CLASS_TOO_LOW'
  | 'NODE_REFUSED'
  | 'NODE_UNKNOWN'
  | 'DISK_UNKNOWN'
  | 'DEPLOYMENT_UNKNOWN'
  | 'DEPLOYMENT_MOVED'
  | 'CONTAINER_UNKNOWN'
  | 'CONTRACT_UNKNOWN'
  | 'RECORD_MISSING'
  | 'RECORD_UNSOUND'
  | 'CONTRACT_REFUSED'
  | 'CONTAINER_FAILED'
  | 'NAME_UNKNOWN'
  | 'NAME_UNPROVEN'
  | 'NAME_CHANGED'
  | 'TOO_SLOW'
  | 'VOLUME_KEY_MISSING'
  | 'VOLUME_LOST'
  | 'INTERRUPTED'
> {}

/** The exit codes of `zos`, as its help explains them. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  noRoom: 4,
  unreachable: 5,
  alarm: 6,
  interrupted: 130,
} as const;

/** The exit codes of `zos verify node`, by the class that is left. */
export const CLASS_EXIT = {
  attested: EXIT.done,
  verified: 10,
  'loader-verified': 11,
  unverified: 12,
} satisfies Record<NodeClass, number>;

const BOT_EXIT = {
  USAGE: EXIT.usage,
  FILE_UNREADABLE: EXIT.usage,
  SECRET_UNREADABLE: EXIT.usage,
  PRICE_CHANGED: EXIT.refused,
  FILE_INVALID: EXIT.usage,
  HOME_DAMAGED: EXIT.failed,
  HOME_UNWRITABLE: EXIT.failed,
  IDENTITY_MISSING: EXIT.usage,
  IDENTITY_EXISTS: EXIT.usage,
  IDENTITY_FIXED: EXIT.usage,
  DEVICE_UNKNOWN: EXIT.usage,
  TEAM_UNKNOWN: EXIT.usage,
  FARM_MISSING: EXIT.usage,
  FARM_EXISTS: EXIT.usage,
  RELEASE_UNKNOWN: EXIT.usage,
  DIRECTORY_MISSING: EXIT.usage,
  DIRECTORY_CHANGED: EXIT.refused,
  NO_ROOM: EXIT.noRoom,
  CLASS_TOO_LOW: EXIT.noRoom,
  NODE_REFUSED: EXIT.refused,
  NODE_UNKNOWN: EXIT.noRoom,
  DISK_UNKNOWN: EXIT.usage,
  DEPLOYMENT_UNKNOWN: EXIT.usage,
  DEPLOYMENT_MOVED: EXIT.usage,
  CONTAINER_UNKNOWN: EXIT.usage,
  CONTRACT_UNKNOWN: EXIT.refused,
  RECORD_MISSING: EXIT.unreachable,
  RECORD_UNSOUND: EXIT.alarm,
  CONTRACT_REFUSED: EXIT.refused,
  CONTAINER_FAILED: EXIT.failed,
  NAME_UNKNOWN: EXIT.usage,
  NAME_UNPROVEN: EXIT.unreachable,
  NAME_CHANGED: EXIT.refused,
  TOO_SLOW: EXIT.unreachable,
  VOLUME_KEY_MISSING: EXIT.refused,
  VOLUME_LOST: EXIT.refused,
  INTERRUPTED: EXIT.interrupted,
} satisfies Record<BotError['code'], number>;

/** The exit code that an error ends the command with. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof BotError) return BOT_EXIT[error.code];
  if (!(error instanceof ZosError)) return EXIT.failed;
  if (error.code.startsWith('HTTP_')) return EXIT.unreachable;
  return error.code === 'NO_ROOM' ? EXIT.noRoom : EXIT.refused;
}

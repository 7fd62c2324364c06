import type { ArtifactError } from '../artifact/spec.ts';
import type { TermsError } from '../capacity/farm/terms.ts';
import type { OfferError } from '../capacity/verify.ts';
import type { BodyError } from '../contract/checks/body.ts';
import type { QuestionError } from '../contract/question.ts';
import type { ReceiptError } from '../contract/receipt.ts';
import type { RequestError } from '../contract/request.ts';
import type { ContractError } from '../contract/verify.ts';
import type { IdentityError } from '../identity/bundle.ts';
import type { EnvelopeError } from '../identity/envelope.ts';
import type { FarmError } from '../identity/farm.ts';
import type { ConsentError } from '../disk/consent.ts';
import { ZosError } from '../lib/errors.ts';
import type { RolloutError } from '../rollout/spec.ts';
import type { MessageError } from '../phonebook/message.ts';
import type { NameError } from '../phonebook/name.ts';
import type { JsonError } from '../lib/strict-json.ts';

/** What the directory refuses from what it knows, beyond what anybody can check in an envelope. */
export class RefusedError extends ZosError<
  | 'NOT_FOUND'
  | 'BODY_MALFORMED'
  | 'BODY_TOO_LONG'
  | 'BODY_TYPE'
  | 'NODE_UNKNOWN'
  | 'NODE_WAITING'
  | 'NODE_CROWDED'
  | 'NODE_IN_OTHER_FARM'
  | 'FARM_UNKNOWN'
  | 'TOKEN_USED'
  | 'OFFER_OLD'
  | 'RECEIPT_OLD'
  | 'METER_BACKWARD'
  | 'HEARTBEAT_OLD'
  | 'CONTRACT_OVER'
  | 'VERSION_PENDING'
  | 'VERSION_DROPPED'
  | 'TOO_MANY_QUESTIONS'
  | 'QUESTION_UNKNOWN'
  | 'TOO_MANY_REQUESTS'
  | 'STORE_FAILED'
  | 'RECORD_UNSEEN'
  | 'RECORD_BEHIND'
  | 'RECORD_FORKED'
  | 'NOT_PUBLISHED'
  | 'ENVELOPE_ERASED'
  | 'RELEASE_UNKNOWN'
  | 'REQUEST_SLOW'
  | 'REQUEST_BROKEN'
  | 'HEAD_TOO_LONG'
  | 'TOO_MANY_CONNECTIONS'
  | 'NAMES_MANY'
  | 'MAILBOX_FULL'
> {}

/** What keeps a directory from starting. */
export class StartError extends ZosError<
  | 'ARGUMENTS'
  | 'PORT_IN_USE'
  | 'ADDRESS_UNUSABLE'
  | 'DIRECTORY_RUNNING'
  | 'GRID_OTHER'
  | 'KEYS_EXPOSED'
  | 'KEYS_OTHER'
  | 'FOLDER_UNUSABLE'
  | 'ROOT_UNUSABLE'
  | 'STORE_UNUSABLE'
  | 'BACKUP_UNUSABLE'
> {}

type Code =
  | ArtifactError['code']
  | RefusedError['code']
  | JsonError['code']
  | EnvelopeError['code']
  | IdentityError['code']
  | FarmError['code']
  | OfferError['code']
  | ContractError['code']
  | BodyError['code']
  | ReceiptError['code']
  | QuestionError['code']
  | RolloutError['code']
  | TermsError['code']
  | ConsentError['code']
  | RequestError['code']
  | NameError['code']
  | MessageError['code'];

/** The HTTP status of every refusal. */
export const HTTP_STATUS = {
  NOT_FOUND: 404,
  BODY_MALFORMED: 400,
  BODY_TOO_LONG: 413,
  BODY_TYPE: 415,
  NODE_UNKNOWN: 404,
  NODE_WAITING: 409,
  NODE_CROWDED: 409,
  NODE_IN_OTHER_FARM: 409,
  FARM_UNKNOWN: 404,
  TOKEN_USED: 409,
  OFFER_OLD: 409,
  RECEIPT_OLD: 409,
  METER_BACKWARD: 409,
  HEARTBEAT_OLD: 409,
  CONTRACT_OVER: 409,
  VERSION_PENDING: 409,
  VERSION_DROPPED: 409,
  TOO_MANY_QUESTIONS: 429,
  QUESTION_UNKNOWN: 404,
  TOO_MANY_REQUESTS: 429,
  STORE_FAILED: 503,
  RECORD_UNSEEN: 503,
  RECORD_BEHIND: 503,
  RECORD_FORKED: 503,
  NOT_PUBLISHED: 409,
  ENVELOPE_ERASED: 410,
  RELEASE_UNKNOWN: 409,
  NOT_JSON: 400,
  MALFORMED: 400,
  UNTRUSTED: 403,
  ROLLED_BACK: 409,
  LENGTH_MISMATCH: 422,
  DIGEST_MISMATCH: 422,
  TARGET_MISSING: 422,
  ARGUMENT_REFUSED: 400,
  DIRECTORY_SILENT: 503,
  HTTP_UNREACHABLE: 502,
  HTTP_NO_NAME: 502,
  HTTP_STATUS: 502,
  HTTP_TOO_LONG: 502,
  HTTP_TOO_SLOW: 504,
  HTTP_BROKEN_OFF: 502,
  JSON_TOO_LONG: 413,
  JSON_TOO_DEEP: 400,
  JSON_NOT_UTF8: 400,
  JSON_SYNTAX: 400,
  JSON_DUPLICATE_KEY: 400,
  ENVELOPE_MALFORMED: 400,
  ENVELOPE_TYPE: 400,
  ENVELOPE_UNTRUSTED: 403,
  IDENTITY_MISMATCH: 403,
  IDENTITY_MALFORMED: 400,
  IDENTITY_BROKEN: 400,
  IDENTITY_UNTRUSTED: 403,
  IDENTITY_OLD: 409,
  IDENTITY_FORKED: 409,
  UNDO_LATE: 409,
  MEMBERS_WRONG: 400,
  FARM_FOREIGN: 403,
  TOKEN_FOREIGN: 403,
  TOKEN_EXPIRED: 410,
  GRID_FOREIGN: 403,
  OFFER_FOREIGN: 403,
  TENANT_MISMATCH: 403,
  NODE_FOREIGN: 403,
  NOT_RECORDED: 422,
  CONTRACT_CANCELLED: 409,
  CONTRACT_UNKNOWN: 404,
  VERSION_OLD: 409,
  VERSION_FORKED: 409,
  VOLUME_CHANGED: 409,
  VERSION_GAP: 409,
  TOO_EARLY: 409,
  EXPIRED: 410,
  OFFER_STALE: 409,
  PRICE_OTHER: 409,
  NO_ROOM: 409,
  CLASS_TOO_LOW: 409,
  BODY_OTHER: 422,
  BODY_MISSING: 422,
  SECRET_FOREIGN: 403,
  RECEIPT_FOREIGN: 403,
  QUESTION_FOREIGN: 403,
  QUESTION_STALE: 410,
  ANSWER_FOREIGN: 403,
  ANSWER_MALFORMED: 400,
  POLICY_FOREIGN: 403,
  POLICY_OLD: 409,
  TERMS_FOREIGN: 403,
  TERMS_OLD: 409,
  CONSENT_FOREIGN: 403,
  CONSENT_EXPIRED: 410,
  TURN_FOREIGN: 403,
  TURN_STALE: 410,
  TURN_OLD: 409,
  REQUEST_UNSIGNED: 401,
  REQUEST_FOREIGN: 403,
  REQUEST_STALE: 403,
  REQUEST_REPLAYED: 403,
  REQUEST_SLOW: 408,
  REQUEST_BROKEN: 400,
  HEAD_TOO_LONG: 431,
  TOO_MANY_CONNECTIONS: 429,
  NAMES_MANY: 409,
  NAME_FOREIGN: 403,
  NAME_TAKEN: 409,
  NAME_OLD: 409,
  NAME_FREE: 409,
  NAME_GAP: 409,
  MAILBOX_FULL: 429,
  MESSAGE_TOO_LONG: 413,
  MESSAGE_TO_TEAM: 409,
  MESSAGE_SIZE: 400,
  MESSAGE_MALFORMED: 400,
  MESSAGE_FOREIGN: 403,
  MESSAGE_STALE: 410,
} satisfies Record<Code, number>;

/** The status of an error of ours, or `undefined` for one that nobody expected. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof ZosError) || !Object.hasOwn(HTTP_STATUS, error.code)) return undefined;
  return HTTP_STATUS[error.code as Code];
}

import {
  refuseOlderPolicy,
  type VerifiedPolicy,
  verifyUpdatePolicy,
} from '../../rollout/verify.ts';
import { openWord, type WordHolder, type WordParts } from './word.ts';

/** The farmer's word on updates, as this node holds it. */
export type PolicyHolder = WordHolder<VerifiedPolicy>;

/** Opens the newest policy that this node ever held. */
export async function openPolicy(parts: WordParts): Promise<PolicyHolder> {
  return openWord(parts, {
    name: 'update policy',
    verify: verifyUpdatePolicy,
    refuseOlder: refuseOlderPolicy,
  });
}

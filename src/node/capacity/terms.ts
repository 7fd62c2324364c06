import { refuseOlderTerms, type VerifiedTerms, verifyTerms } from '../../capacity/farm/terms.ts';
import type { Wants } from '../../contract/wants.ts';
import type { AgentConsole } from '../bringup/console.ts';
import { openWord, type WordHolder, type WordParts } from '../turns/word.ts';
import type { OfferHolder } from './offer.ts';

/** What the farmer asks for the node's capacity, as this node holds it. */
export type TermsHolder = WordHolder<VerifiedTerms>;

/** Opens the newest terms that this node ever held. */
export async function openTerms(parts: WordParts): Promise<TermsHolder> {
  return openWord(parts, {
    name: 'terms of the farm',
    verify: verifyTerms,
    refuseOlder: refuseOlderTerms,
  });
}

export type AskingParts = {
  readonly terms: TermsHolder;
  readonly offer: OfferHolder;
  readonly console: Pick<AgentConsole, 'say'>;
  readonly onBad: (what: string, error: unknown) => void;
};

/** Takes in what the farmer asks; whether the node makes another offer by it. */
export async function askByTerms(parts: AskingParts, { farmTerms }: Wants): Promise<boolean> {
  const { terms, offer, console, onBad } = parts;
  if (farmTerms === undefined) return false;
  await terms.take(farmTerms.terms).catch((error: unknown) => onBad('terms of the farm', error));
  const held = terms.current();
  if (held === null || !(await offer.ask(held))) return false;
  console.say(`offer version ${offer.current().offer.version} asks by terms ${held.version}`);
  return true;
}

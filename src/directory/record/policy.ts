import { utf8 } from '../../lib/bytes.ts';
import { formatNoteKey, type NoteKey, parseNoteKey } from '../../record/note.ts';
import { parsePolicy, type Policy } from '../../record/policy.ts';
import { StartError } from '../errors.ts';

/** Who shall have seen the record, as the operator names them. */
export type WitnessWish = {
  /** Each a verifier key, a space, and the URL below which the witness answers. */
  readonly witnesses: readonly string[];
  /** How many of them; all but one when it is not said. */
  readonly quorum: string | undefined;
};

/**
 * The policy (c2sp.org/tlog-policy) of a log and its witnesses. Served by the directory it is a
 * proposal: nodes and bots go by the copy that came to them another way. Throws `StartError`.
 */
export function composePolicy(log: NoteKey, { witnesses, quorum }: WitnessWish): string {
  const names = witnesses.map((_, at) => `w${at + 1}`);
  const needed = Number(quorum ?? Math.max(1, witnesses.length - 1));
  const isCount = Number.isSafeInteger(needed) && needed >= 1 && needed <= witnesses.length;
  if (!isCount && (witnesses.length > 0 || quorum !== undefined)) {
    throw unusable(`--quorum is 1 to the number of witnesses, which is ${witnesses.length}`);
  }
  const lines = witnesses.map((wish, at) => `witness w${at + 1} ${witnessOf(wish)}`);
  const end =
    witnesses.length === 0
      ? ['quorum none']
      : [`group witnesses ${needed} ${names.join(' ')}`, 'quorum witnesses'];
  const text = [`log ${formatNoteKey(log)}`, ...lines, ...end, ''].join('\n');
  try {
    parsePolicy(utf8(text));
  } catch (cause) {
    throw unusable('--witness names one witness twice, or too many of them', cause);
  }
  return text;
}

/** The policy of a text that was composed here. */
export function policyOf(text: string): Policy {
  return parsePolicy(utf8(text));
}

function witnessOf(wish: string): string {
  const [vkey = '', url = '', ...rest] = wish.trim().split(/\s+/u);
  if (rest.length > 0 || !URL.canParse(url) || !/^https?:/u.test(url)) {
    throw unusable('--witness is "KEY URL", both as "zos witness" prints them');
  }
  try {
    const key = parseNoteKey(vkey);
    if (key.type === 'cosignature-v1') return `${vkey} ${url}`;
  } catch (cause) {
    throw unusable('--witness holds no verifier key of a witness', cause);
  }
  throw unusable('--witness holds the key of a log, not of a witness');
}

function unusable(why: string, cause?: unknown): StartError {
  return new StartError('ARGUMENTS', `${why}.`, { cause });
}

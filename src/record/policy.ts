import { isSameBytes, textOf } from '../lib/bytes.ts';
import { KiB } from '../lib/units.ts';
import { type NoteKey, type NoteKeyType, parseNoteKey } from './note.ts';
import { RecordError } from './tree.ts';

export const POLICY_BYTES_MAX = 64 * KiB;
/** Of logs, of witnesses and of groups (c2sp.org/tlog-policy asks for 32 of each). */
const PARTS_MAX = 64;

/** Somebody who signs or cosigns, and where to reach them. */
export type PolicyParty = { readonly key: NoteKey; readonly url: string | undefined };

type Group = { readonly threshold: number; readonly members: readonly string[] };

/** Which logs are taken, and who has to have seen a checkpoint (c2sp.org/tlog-policy). */
export type Policy = {
  readonly logs: readonly PolicyParty[];
  /** By their name in the policy, which means nothing outside of it. */
  readonly witnesses: ReadonlyMap<string, PolicyParty>;
  readonly groups: ReadonlyMap<string, Group>;
  /** A witness or group, or `none`. */
  readonly quorum: string;
};

type Draft = {
  readonly logs: PolicyParty[];
  readonly witnesses: Map<string, PolicyParty>;
  readonly groups: Map<string, Group>;
  /** Whoever is a member of some group: nobody counts in two ways. */
  readonly members: Set<string>;
  quorum: string | undefined;
};

/** Whether these witnesses, by their keys, are enough. */
export function isQuorum(policy: Policy, cosigners: ReadonlySet<NoteKey>): boolean {
  if (policy.quorum === NONE) return true;
  // A group names only what stands before it: so in this order everything is known when asked.
  const seen = new Set<string>();
  for (const [name, { key }] of policy.witnesses) if (cosigners.has(key)) seen.add(name);
  for (const [name, { threshold, members }] of policy.groups) {
    if (members.filter((member) => seen.has(member)).length >= threshold) seen.add(name);
  }
  return seen.has(policy.quorum);
}

/** A policy of its text; throws `RecordError` with the line that is wrong. */
export function parsePolicy(bytes: Uint8Array): Policy {
  const last = bytes.at(-1);
  const isText = bytes.every((byte) => byte === 0x09 || byte === 0x0a || byte >= 0x20);
  if (bytes.length > POLICY_BYTES_MAX || bytes.includes(0x7f) || !isText || last !== 0x0a) {
    const sentence = 'A policy is lines of text, each with its end, 64 KiB at most.';
    throw new RecordError('POLICY_MALFORMED', sentence);
  }
  const draft: Draft = {
    logs: [],
    witnesses: new Map(),
    groups: new Map(),
    members: new Set(),
    quorum: undefined,
  };
  // Names are bytes and nothing more: each byte becomes one character and none is lost.
  const lines = Buffer.from(bytes).toString('latin1').slice(0, -1).split('\n');
  for (const [index, line] of lines.entries()) readLine(draft, line, index + 1);
  const { quorum } = draft;
  if (quorum === undefined) throw malformed(lines.length, 'it ends without a quorum');
  return { logs: draft.logs, witnesses: draft.witnesses, groups: draft.groups, quorum };
}

function readLine(draft: Draft, line: string, number: number): void {
  const [keyword, ...items] = line.split(/[ \t]+/).filter((item) => item !== '');
  if (keyword === undefined || keyword.startsWith('#')) return;
  const fault = faultOf(draft, keyword, items);
  if (fault !== undefined) throw malformed(number, fault);
}

/** Takes a line into the draft, or says what is wrong with it. */
function faultOf(draft: Draft, keyword: string, items: readonly string[]): string | undefined {
  switch (keyword) {
    case 'log':
      return readLog(draft, items);
    case 'witness':
      return readWitness(draft, items);
    case 'group':
      return readGroup(draft, items);
    case 'quorum':
      return readQuorum(draft, items);
    default:
      return 'its first word is none of log, witness, group and quorum';
  }
}

function readLog({ logs }: Draft, [vkey, url, ...rest]: readonly string[]): string | undefined {
  if (vkey === undefined || rest.length > 0) return 'a log is a key, and a URL if need be';
  const key = readKey(vkey, 'ed25519');
  if (key === undefined) return 'it holds no verifier key of a log';
  if (logs.some((log) => isSameKey(log.key, key))) return 'this log is listed already';
  logs.push({ key, url });
  return logs.length > PARTS_MAX ? `there are over ${PARTS_MAX} logs` : undefined;
}

function readWitness(draft: Draft, items: readonly string[]): string | undefined {
  const [name, vkey, url, ...rest] = items;
  if (name === undefined || vkey === undefined || rest.length > 0) {
    return 'a witness is a name and a key, and a URL if need be';
  }
  const key = readKey(vkey, 'cosignature-v1');
  if (key === undefined) return 'it holds no verifier key of a witness';
  if (isDefined(draft, name)) return 'this name is taken';
  const others = [...draft.witnesses.values()];
  if (others.some((witness) => isSameKey(witness.key, key)))
    return 'this witness is listed already';
  draft.witnesses.set(name, { key, url });
  return draft.witnesses.size > PARTS_MAX ? `there are over ${PARTS_MAX} witnesses` : undefined;
}

function readGroup(draft: Draft, items: readonly string[]): string | undefined {
  const [name, count, ...members] = items;
  if (name === undefined || count === undefined || members.length === 0) {
    return 'a group is a name, a number, “any” or “all”, and its members';
  }
  if (isDefined(draft, name)) return 'this name is taken';
  for (const member of members) {
    if (member === NONE || !isDefined(draft, member)) return 'a member is not defined above';
    if (draft.members.has(member)) return 'a member is in a group already';
    draft.members.add(member);
  }
  const words = new Map([
    ['any', 1],
    ['all', members.length],
  ]);
  const threshold = words.get(count) ?? (/^[1-9]\d{0,3}$/.test(count) ? Number(count) : 0);
  if (threshold < 1 || threshold > members.length) return 'its number is not 1 to its members';
  draft.groups.set(name, { threshold, members });
  return draft.groups.size > PARTS_MAX ? `there are over ${PARTS_MAX} groups` : undefined;
}

function readQuorum(draft: Draft, [name, ...rest]: readonly string[]): string | undefined {
  if (name === undefined || rest.length > 0) return 'a quorum is one name';
  if (draft.quorum !== undefined) return 'there is a quorum already';
  if (!isDefined(draft, name)) return 'the quorum is not defined above';
  draft.quorum = name;
  return undefined;
}

const NONE = 'none';

function isDefined({ witnesses, groups }: Draft, name: string): boolean {
  return name === NONE || witnesses.has(name) || groups.has(name);
}

function readKey(item: string, type: NoteKeyType): NoteKey | undefined {
  try {
    const key = parseNoteKey(textOf(Buffer.from(item, 'latin1')));
    return key.type === type ? key : undefined;
  } catch {
    return undefined;
  }
}

function isSameKey(one: NoteKey, other: NoteKey): boolean {
  return isSameBytes(one.publicKey, other.publicKey);
}

function malformed(line: number, why: string): RecordError {
  return new RecordError('POLICY_MALFORMED', `Line ${line} of the policy: ${why}.`);
}

import { run } from '../exec.ts';

/**
 * Loads rules in nft's own language as one transaction: all of them or none. The text begins with
 * what it replaces (`destroy table ...` or `flush ruleset`).
 */
export async function loadRules(rules: string, signal?: AbortSignal): Promise<void> {
  await nft(['-f', '-'], { stdin: rules, ...(signal === undefined ? {} : { signal }) });
}

/** All rules as text, in the order and wording of nft. */
export async function listRules(signal?: AbortSignal): Promise<string> {
  return nft(['-n', 'list', 'ruleset'], signal === undefined ? {} : { signal });
}

/** The members of a named set of numbers or addresses, as text; none when there is no such set. */
export async function listSet(
  set: { readonly family: string; readonly table: string; readonly name: string },
  signal?: AbortSignal,
): Promise<string[]> {
  const rules = await listRules(signal);
  return membersOf(rules, set);
}

/** Reads a set's members out of a listing of all rules. */
export function membersOf(
  rules: string,
  set: { readonly family: string; readonly table: string; readonly name: string },
): string[] {
  const table = blockOf(rules, `table ${set.family} ${set.table}`, '');
  const block = blockOf(table, `set ${set.name}`, '\t');
  const elements = /elements = \{([^}]*)\}/u.exec(block)?.[1] ?? '';
  return elements
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

/** The lines between `indent head {` and its closing brace. */
function blockOf(text: string, head: string, indent: string): string {
  const lines = text.split('\n');
  const start = lines.indexOf(`${indent}${head} {`);
  if (start < 0) return '';
  const end = lines.indexOf(`${indent}}`, start);
  return lines.slice(start + 1, end).join('\n');
}

async function nft(
  args: readonly string[],
  options: { readonly stdin?: string; readonly signal?: AbortSignal },
): Promise<string> {
  return run({ file: 'nft', args, ...options });
}

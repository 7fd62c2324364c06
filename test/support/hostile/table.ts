/** The tries of a hostile container, as a table for people. */
export type Tries = {
  readonly isTried: boolean;
  readonly fromContainer: Readonly<Record<string, string>>;
  readonly fromNode: Readonly<Record<string, string>>;
};

const NAME_CHARS = 48;
const ANSWER_CHARS = 28;

/**
 * One line a try: what the container got, and what root on the node gets who has no filter. What
 * differs from run to run has a name instead.
 */
export function tableOf(
  { fromContainer, fromNode }: Tries,
  names: Readonly<Record<string, string>>,
): string {
  const lines = Object.entries(fromContainer).map(([name, answer]) => {
    const known = Object.entries(names).reduce(
      (text, [found, shown]) => text.replaceAll(found, shown),
      name,
    );
    const root = fromNode[name];
    const other = root === undefined ? '-' : isAddressed(known) ? root : judged(root);
    return `${known.padEnd(NAME_CHARS)}${answer.padEnd(ANSWER_CHARS)}${other}`;
  });
  const columns = ['try'.padEnd(NAME_CHARS), 'hostile container'.padEnd(ANSWER_CHARS)];
  const head = `${columns.join('')}root on the node`;
  return `${[head, ...lines].join('\n')}\n`;
}

function isAddressed(name: string): boolean {
  return /^(?:TCP|UDP) /u.test(name);
}

/** Of root it matters whether it got to the call, not what the call made of its arguments. */
function judged(answer: string): string {
  const isRefused = /^(?:EPERM|ENOSYS|ENOEXEC|EAFNOSUPPORT|ENOENT|EROFS|ended by .*)$/u.test(
    answer,
  );
  return isRefused ? answer : 'gets there';
}

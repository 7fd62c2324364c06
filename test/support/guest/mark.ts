/** The first thing that PID 1 of a guest says (`init.c`). */
export const KERNEL_UP = 'guest: the kernel is up';

/** The line of the guest's console that holds what the script found. */
export const RESULT_MARK = 'guest-result: ';

/** Lines before it with more of the same, for what is longer than a line may be. */
export const PART_MARK = 'guest-part: ';

const PART_CHARS = 2000;

/** A result as the lines of the console that tell it, the last one with the mark. */
export function linesOfResult(result: unknown): string[] {
  const text = JSON.stringify(result);
  const count = Math.ceil(text.length / PART_CHARS);
  return Array.from({ length: count }, (_, at) => {
    const mark = at === count - 1 ? RESULT_MARK : PART_MARK;
    return mark + text.slice(at * PART_CHARS, (at + 1) * PART_CHARS);
  });
}

/** What those lines told; none while there is no last one. */
export function readResult(lines: readonly string[]): unknown {
  const isDone = lines.some((line) => line.includes(RESULT_MARK));
  if (!isDone) return undefined;
  const parts = lines.flatMap((line) => {
    const mark = [PART_MARK, RESULT_MARK].find((each) => line.includes(each));
    return mark === undefined ? [] : [line.slice(line.indexOf(mark) + mark.length)];
  });
  return JSON.parse(parts.join(''));
}

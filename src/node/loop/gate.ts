/** Runs work when there is room for it. */
export type Gate = <T>(work: () => Promise<T>) => Promise<T>;

/** Lets so many through at once, the others in the order they came. */
export function openGate(width: number): Gate {
  let free = width;
  const queue: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free -= 1;
    else {
      const turn = Promise.withResolvers<void>();
      queue.push(turn.resolve);
      await turn.promise;
    }
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

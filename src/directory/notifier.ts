/** One who waits for changes of one node's wants. */
export type Watch = {
  /** Whether something changed since it was last asked; waits for it up to `waitMs`. */
  readonly next: (waitMs: number) => Promise<'changed' | 'silent' | 'closed'>;
  readonly close: () => void;
};

export type Notifier = {
  readonly watch: (node: string) => Watch;
  readonly wake: (nodes: readonly string[] | 'all') => void;
  readonly close: () => void;
};

/** Hands changes to whoever waits in this process; a store may bring in those of others. */
export function openNotifier(): Notifier {
  const watched = new Map<string, Set<Waiter>>();
  return {
    watch: (node) => {
      const waiter = makeWaiter();
      const others = watched.get(node) ?? new Set();
      watched.set(node, others.add(waiter));
      return {
        next: waiter.next,
        close: () => {
          waiter.close();
          others.delete(waiter);
          if (others.size === 0 && watched.get(node) === others) watched.delete(node);
        },
      };
    },
    wake: (nodes) => {
      for (const node of nodes === 'all' ? watched.keys() : nodes)
        for (const waiter of watched.get(node) ?? []) waiter.wake();
    },
    close: () => {
      for (const waiters of watched.values()) for (const waiter of waiters) waiter.close();
      watched.clear();
    },
  };
}

type Waiter = Watch & { readonly wake: () => void };

/** A change that comes while nobody asks is kept, so that none is lost between two questions. */
function makeWaiter(): Waiter {
  let isChanged = false;
  let isClosed = false;
  let ring: (() => void) | undefined;
  return {
    next: async (waitMs) => {
      if (!isChanged && !isClosed) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, waitMs);
          ring = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        ring = undefined;
      }
      if (isClosed) return 'closed';
      const word = isChanged ? 'changed' : 'silent';
      isChanged = false;
      return word;
    },
    wake: () => {
      isChanged = true;
      ring?.();
    },
    close: () => {
      isClosed = true;
      ring?.();
    },
  };
}

/** One who waits for changes of one node's wants. */
export type Watch = {
  /** Whether something changed since it was last asked; waits for it up to `waitMs`. */
  readonly next: (waitMs: number) => Promise<'changed' | 'silent' | 'closed'>;
  readonly close: () => void;
};

/** What is called at every change, and once when no more will come. */
export type Listener = { readonly wake: () => void; readonly close: () => void };

export type Notifier = {
  /** Tells the listener of every change until the answer is called. */
  readonly listen: (node: string, listener: Listener) => () => void;
  readonly watch: (node: string) => Watch;
  readonly wake: (nodes: readonly string[] | 'all') => void;
  readonly close: () => void;
};

/** Hands changes to whoever waits in this process; a store may bring in those of others. */
export function openNotifier(): Notifier {
  const heard = new Map<string, Set<Listener>>();
  let isClosed = false;
  const listen = (node: string, listener: Listener) => {
    // A request that was under way when the end came has to end as well.
    if (isClosed) queueMicrotask(listener.close);
    const others = heard.get(node) ?? new Set();
    heard.set(node, others.add(listener));
    return () => {
      others.delete(listener);
      if (others.size === 0 && heard.get(node) === others) heard.delete(node);
    };
  };
  return {
    listen,
    watch: (node) => {
      const waiter = makeWaiter();
      const leave = listen(node, waiter);
      return {
        next: waiter.next,
        close: () => {
          waiter.close();
          leave();
        },
      };
    },
    wake: (nodes) => {
      for (const node of nodes === 'all' ? heard.keys() : nodes) {
        for (const listener of heard.get(node) ?? []) listener.wake();
      }
    },
    close: () => {
      isClosed = true;
      const all = [...heard.values()].flatMap((listeners) => [...listeners]);
      heard.clear();
      for (const listener of all) listener.close();
    },
  };
}

type Waiter = Watch & Listener;

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

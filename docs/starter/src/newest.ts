/**
 * Does one piece of work at a time; of what comes meanwhile only the newest is done.
 *
 * A slow engine would otherwise render every letter of a word, one after the other.
 */
export function newestOnly<T>(work: (item: T) => Promise<void>): (item: T) => void {
  let waiting: { item: T } | undefined;
  let busy = false;
  return async (item) => {
    waiting = { item };
    if (busy) {
      return;
    }
    busy = true;
    while (waiting) {
      const next: T = waiting.item;
      waiting = undefined;
      await work(next);
    }
    busy = false;
  };
}

import assert from 'node:assert/strict';

/** Directories opened, made or closed at one time: enough to keep a disk busy. */
const PARALLEL_MAX = 32;

/**
 * Runs `run` over all items, at most PARALLEL_MAX at a time. Waits for all that began; then throws
 * the first error. After an error no further item is begun.
 */
export async function inParallel<T>(
  items: Iterable<T>,
  run: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const errors: unknown[] = [];
  const work = async (): Promise<void> => {
    while (errors.length === 0) {
      const next = iterator.next();
      if (next.done === true) return;
      try {
        await run(next.value);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_MAX }, work));
  assert(errors.length <= PARALLEL_MAX);
  if (errors.length > 0) throw errors[0];
}

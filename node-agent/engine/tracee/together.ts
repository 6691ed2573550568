// Many tracees at the same time: each step is begun in all of them before the next one waits for the first.

/**
 * Takes all items through all steps, step by step. One that fails takes no further step, the others do: nobody is left in
 * the middle.
 *
 * @returns what went wrong, by item
 */
export function together<T>(
  items: readonly T[],
  ...steps: readonly ((item: T) => void)[]
): ReadonlyMap<T, unknown> {
  const failures = new Map<T, unknown>();
  for (const step of steps) {
    for (const item of items) {
      if (failures.has(item)) continue;
      try {
        step(item);
      } catch (error) {
        failures.set(item, error);
      }
    }
  }
  return failures;
}

/** @throws the first failure, if there is one */
export function throwFirst(failures: ReadonlyMap<unknown, unknown>): void {
  for (const error of failures.values()) throw error;
}

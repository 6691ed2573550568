// Descriptor numbers for our own use in a process that is being rebuilt: none that the application wants.

export interface SpareNumbers {
  /** where our channel may live */
  readonly channel: number;
  /** a number for the moment */
  readonly spare: number;
  /** nobody wants this one or a higher one; undefined where the limit has no room for such */
  readonly above: number | undefined;
}

/**
 * Two numbers that nobody wants, above all wanted ones where the limit has room, so that the table does not grow more
 * than the application's own.
 *
 * @param limit RLIMIT_NOFILE
 * @throws Error when every number is wanted
 */
export function spareNumbers(wanted: ReadonlySet<number>, limit: number): SpareNumbers {
  const highest = Math.max(2, ...wanted);
  // Opening the channel takes one more number for the moment.
  if (highest + 4 < limit) {
    return { channel: highest + 1, spare: highest + 3, above: highest + 4 };
  }
  const free: number[] = [];
  for (let n = limit - 1; n > 2 && free.length < 2; n--) if (!wanted.has(n)) free.push(n);
  const [spare, channel] = free;
  if (spare === undefined || channel === undefined) {
    throw new Error(`all ${limit} descriptors are wanted: raise the limit of open files`);
  }
  return { channel, spare, above: undefined };
}

// How long to wait before trying again: exponential, bounded, with jitter so that many clients do not return together.

export interface BackoffPolicy {
  readonly baseMillis: number;
  readonly maxMillis: number;
}

/**
 * Delay before attempt number `failures` + 1. `failures` counts from 1.
 * Between half and all of min(max, base * 2^(failures - 1)).
 * @param random gives numbers in [0, 1)
 */
export function backoffMillis(
  policy: BackoffPolicy,
  failures: number,
  random: () => number = Math.random,
): number {
  const exponent = Math.min(Math.max(failures - 1, 0), 30);
  const ceiling = Math.min(policy.maxMillis, policy.baseMillis * 2 ** exponent);
  return ceiling * (0.5 + random() / 2);
}

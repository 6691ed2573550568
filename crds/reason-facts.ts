// What is known about a reason: its class, what it means, what the user can do about it.

/**
 * progress: it goes on by itself; waiting: something else must change, until the deadline; success and failure: the end.
 */
export type ReasonClass = 'progress' | 'waiting' | 'success' | 'failure';

export interface ReasonFacts {
  readonly class: ReasonClass;
  /** one line for people */
  readonly meaning: string;
  /** what the user can do; empty where nothing is to be done */
  readonly action: string;
}

/** Reasons of one class, by name. */
export function define<const Name extends string>(
  reasonClass: ReasonClass,
  reasons: Readonly<Record<Name, readonly [meaning: string, action: string]>>,
): Readonly<Record<Name, ReasonFacts>> {
  const entries = Object.entries<readonly [string, string]>(reasons).map(
    ([name, [meaning, action]]) => [name, { class: reasonClass, meaning, action }] as const,
  );
  return Object.fromEntries(entries) as Record<Name, ReasonFacts>;
}

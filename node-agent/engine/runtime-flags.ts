// How the runtime of an engine is started.

/**
 * Its memory for young objects begins with a MiB, and a freeze of a hundred threads fills that many times over. Each time it
 * would be cleaned by four threads that are not real-time ones (linux/urgency.ts), and the engine, with the application,
 * would wait for the CPU that they do not get. With so much room a freeze has none to clean, or few; only what is used
 * takes memory.
 */
export const RUNTIME_FLAGS: readonly string[] = [
  '--min-semi-space-size=16',
  '--no-parallel-scavenge',
];

// Waiting for something to become true, with a limit, for tests over a real socket.

/** Polls until `condition` holds. @throws Error naming `what` after `limitMillis` */
export async function until(
  what: string,
  condition: () => boolean,
  limitMillis = 10_000,
): Promise<void> {
  const end = performance.now() + limitMillis;
  while (!condition()) {
    if (performance.now() > end) {
      throw new Error(`not within ${limitMillis} ms: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

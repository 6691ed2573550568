// Waiting for a cluster: things become true a little later.
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MILLIS = 100;

/**
 * Asks until `accept` likes the answer.
 *
 * @throws Error naming `what` and the last answer when the time is over
 */
export async function eventually<Answer>(
  what: string,
  ask: () => Answer | Promise<Answer>,
  accept: (answer: Answer) => boolean,
  limitMillis = 60_000,
): Promise<Answer> {
  const end = performance.now() + limitMillis;
  for (;;) {
    const answer = await ask();
    if (accept(answer)) {
      return answer;
    }
    if (performance.now() > end) {
      const last = JSON.stringify(answer, undefined, 1) ?? 'nothing';
      throw new Error(`not within ${limitMillis / 1000} s: ${what}; last: ${last.slice(0, 4000)}`);
    }
    await sleep(PAUSE_MILLIS);
  }
}

// Asks again until an answer is good, or the time is over.
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MILLIS = 500;

/**
 * Repeats `ask` until it answers and `isGood` accepts the answer.
 * @returns the last answer when the time is over, good or not
 * @throws the last error when there was never an answer
 */
export async function retry<Answer>(
  timeoutMillis: number,
  ask: () => Promise<Answer>,
  isGood: (answer: Answer) => boolean = () => true,
): Promise<Answer> {
  const deadline = performance.now() + timeoutMillis;
  let last: { readonly answer: Answer } | undefined;
  for (;;) {
    try {
      last = { answer: await ask() };
      if (isGood(last.answer)) {
        return last.answer;
      }
    } catch (error) {
      if (performance.now() >= deadline && last === undefined) {
        throw error;
      }
    }
    if (performance.now() >= deadline && last !== undefined) {
      return last.answer;
    }
    await sleep(PAUSE_MILLIS);
  }
}

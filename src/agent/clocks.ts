// Which nodes' clocks would run backwards for a saved pod (pure). The agent of the node decides in the end: here two
// wall clocks lie between, so what is nearly right is left to it.
import type { ClockStarts } from '../../crds/node-task.ts';
import type { Agent } from '../cluster/agents.ts';

/** Wall clocks of nodes may differ by this much. */
const TOLERANCE_MILLIS = 5_000;
const NANOS_PER_MILLI = 1e6;

/** The moment at which a node's clocks must have stood at zero, or earlier; epoch milliseconds. */
export interface LatestStarts {
  readonly monotonic: number;
  readonly boottime: number;
}

const CLOCKS = [
  ['monotonic', 'monotonicNanos'],
  ['boottime', 'boottimeNanos'],
] as const;

/** @param requirements of a Checkpoint; clocks that it does not know count as zero */
export function startsFor(
  requirements: Readonly<Record<string, unknown>>,
  nowMillis: number,
): LatestStarts {
  const [monotonic, boottime] = CLOCKS.map(([, field]) => {
    const nanos = Number(requirements[field] ?? 0);
    return nowMillis - (Number.isFinite(nanos) ? nanos / NANOS_PER_MILLI : 0);
  });
  return { monotonic: monotonic ?? nowMillis, boottime: boottime ?? nowMillis };
}

/** Of programs that go on reading these clocks. */
export function startsOn(clocks: ClockStarts): LatestStarts {
  return { monotonic: startOf(clocks, 'monotonic'), boottime: startOf(clocks, 'boottime') };
}

/** In words, or undefined where the node is as good as far as anybody knows. */
export function earlierClock(
  latest: LatestStarts | undefined,
  { clocks }: Agent,
): string | undefined {
  for (const [name] of latest === undefined || clocks === undefined ? [] : CLOCKS) {
    const lateMillis = startOf(clocks, name) - (latest?.[name] ?? 0);
    if (lateMillis > TOLERANCE_MILLIS) {
      const clock = name === 'boottime' ? 'boot' : name;
      return `${clock} clock is ${Math.ceil(lateMillis / 1000)} s earlier than the source's`;
    }
  }
  return undefined;
}

function startOf(clocks: ClockStarts | undefined, name: keyof ClockStarts): number {
  return Date.parse(clocks?.[name] ?? '');
}

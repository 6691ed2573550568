// The clocks of this node, which programs take for granted never to run backwards.
import { readFileSync } from 'node:fs';
import type { ClockStarts } from '../../crds/node-task.ts';

export interface NodeClocks {
  readonly monotonicNanos: bigint;
  readonly boottimeNanos: bigint;
}

export function readNodeClocks(): NodeClocks {
  const [seconds = 0] = readFileSync('/proc/uptime', 'latin1').split(' ').map(Number);
  return {
    monotonicNanos: process.hrtime.bigint(),
    // Hundredths of a second, rounded down: nobody is refused for what was cut off.
    boottimeNanos: BigInt(Math.round(seconds * 100) + 1) * 10_000_000n,
  };
}

/** When the clocks stood at zero: that stays the same while they run. Pure. */
export function clockStarts(
  { monotonicNanos, boottimeNanos }: NodeClocks,
  nowMillis: number,
): ClockStarts {
  const start = (nanos: bigint): string =>
    new Date(nowMillis - Number(nanos / 1_000_000n)).toISOString();
  return { monotonic: start(monotonicNanos), boottime: start(boottimeNanos) };
}

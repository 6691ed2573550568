// Adds up bytes into a task's progress.
import type { Progress } from './task-context.ts';

export interface ByteCounter {
  readonly onStart: (bytesTotal: number) => void;
  readonly onBytes: (bytes: number) => void;
}

/** The stage begins now, or again with a total once `onStart` tells it. */
export function byteCounter(progress: Progress, stage: string): ByteCounter {
  let done = 0;
  progress.stage(stage);
  return {
    onStart: (bytesTotal) => progress.stage(stage, bytesTotal),
    onBytes: (bytes) => {
      done += bytes;
      progress.bytes(done);
    },
  };
}

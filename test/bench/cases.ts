// Which programs are measured, and what the figures must show.
import { type Measure } from './measures.ts';

export interface BenchCase {
  readonly mebibytes: number;
  readonly threads: number;
  readonly processes: number;
}

const program = (mebibytes: number, threads: number, processes = 1): BenchCase => ({
  mebibytes,
  threads,
  processes,
});

/** Every run: the sizes and threads that bars are set for, and what grows with them. */
const COMMON = [
  program(64, 5),
  program(1024, 5),
  program(64, 1),
  program(64, 100),
  program(1024, 1),
  program(1024, 100),
];
const LARGE = [program(4096, 5), program(1, 1000), program(1, 1, 200)];
const FEW = [program(64, 5), program(1024, 5), program(1, 100)];

export type Extent = 'quick' | 'common' | 'full';

export const CASES: Readonly<Record<Extent, readonly BenchCase[]>> = {
  quick: FEW,
  common: COMMON,
  full: [...COMMON, ...LARGE],
};

export const describeCase = ({ mebibytes, threads, processes }: BenchCase): string => {
  const size = mebibytes >= 1024 ? `${mebibytes / 1024} GiB` : `${mebibytes} MiB`;
  const tasks = processes > 1 ? `${processes} processes` : plural(threads, 'thread');
  return `${size}, ${tasks}`;
};

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Largest ratio of our median to CRIU's that is good enough. */
interface Bar {
  readonly measure: Measure;
  readonly subject: BenchCase;
  readonly ratio: number;
}

const BARS: readonly Bar[] = [
  { measure: 'gap', subject: program(64, 5), ratio: 1 / 8 },
  { measure: 'gap', subject: program(1024, 5), ratio: 1 / 20 },
  { measure: 'gap', subject: program(4096, 5), ratio: 1 / 50 },
  { measure: 'gap', subject: program(1, 1000), ratio: 1 / 3 },
  { measure: 'gap', subject: program(1, 1, 200), ratio: 1 / 3 },
  { measure: 'durable', subject: program(1024, 5), ratio: 0.6 },
  { measure: 'durable', subject: program(4096, 5), ratio: 0.6 },
  { measure: 'coldAnswer', subject: program(1024, 5), ratio: 0.7 },
  { measure: 'coldAnswer', subject: program(1, 1000), ratio: 0.7 },
  { measure: 'coldAnswer', subject: program(1, 1, 200), ratio: 0.7 },
  { measure: 'warmAnswer', subject: program(1024, 5), ratio: 0.7 },
  { measure: 'warmAnswer', subject: program(1, 1000), ratio: 0.7 },
  { measure: 'warmAnswer', subject: program(1, 1, 200), ratio: 0.7 },
];

export function barOf(measure: Measure, subject: BenchCase): number | undefined {
  const key = describeCase(subject);
  return BARS.find((bar) => bar.measure === measure && describeCase(bar.subject) === key)?.ratio;
}

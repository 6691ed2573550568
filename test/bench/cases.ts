// Which programs are measured, and what the figures must show.
import { type Measure } from './measures.ts';

export interface BenchCase {
  readonly mebibytes: number;
  readonly threads: number;
  readonly processes: number;
  /** that its first process has open */
  readonly files?: number;
  /** of these that are connected unix sockets: in pairs */
  readonly sockets?: number;
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
/** Tenfold each, so that growth is seen. */
const DESCRIPTORS = [1000, 10_000].map((files) => ({ ...program(1, 1), files }));
const SOCKETS = [200, 2000].map((sockets) => ({ ...program(1, 1), sockets }));
const FEW = [program(64, 5), program(1024, 5), program(1, 100)];

export type Extent = 'quick' | 'common' | 'descriptors' | 'full';

export const CASES: Readonly<Record<Extent, readonly BenchCase[]>> = {
  quick: FEW,
  common: COMMON,
  descriptors: [...DESCRIPTORS, ...SOCKETS],
  full: [...COMMON, ...LARGE, ...DESCRIPTORS, ...SOCKETS],
};

export const describeCase = (subject: BenchCase): string => {
  const { mebibytes, threads, processes, files, sockets } = subject;
  if (files) return `${files} open files`;
  if (sockets) return `${sockets} connected sockets`;
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
  { measure: 'lazyColdAnswer', subject: program(1024, 5), ratio: 1 / 20 },
  { measure: 'lazyWarmAnswer', subject: program(1024, 5), ratio: 1 / 20 },
  { measure: 'warmAnswer', subject: program(1, 1000), ratio: 0.7 },
  { measure: 'warmAnswer', subject: program(1, 1, 200), ratio: 0.7 },
];

/** Descriptors must not take longer than CRIU's. */
const AS_CRIU = 1;

export function barOf(measure: Measure, subject: BenchCase): number | undefined {
  const key = describeCase(subject);
  const isDescriptors = (subject.files ?? 0) + (subject.sockets ?? 0) > 0;
  const isCompared = measure === 'gap' || measure === 'coldAnswer' || measure === 'warmAnswer';
  if (isDescriptors) return isCompared ? AS_CRIU : undefined;
  return BARS.find((bar) => bar.measure === measure && describeCase(bar.subject) === key)?.ratio;
}

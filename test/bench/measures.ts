// What is measured, and in which unit.
export const MEASURES = {
  noise: { what: 'gap in 200 ms without a dump', unit: 'ms' },
  gap: { what: 'gap seen by the application', unit: 'ms' },
  durable: { what: 'time until durable', unit: 'ms' },
  coldAnswer: { what: 'time until the restored program answers, images on disk', unit: 'ms' },
  warmAnswer: { what: 'time until the restored program answers, images in memory', unit: 'ms' },
  lazyColdAnswer: { what: 'the same with lazy pages (criu: without), images on disk', unit: 'ms' },
  lazyWarmAnswer: {
    what: 'the same with lazy pages (criu: without), images in memory',
    unit: 'ms',
  },
  dumpCpu: { what: 'processor time of the dump', unit: 'ms' },
  dumpPeak: { what: 'largest resident memory of the dumper', unit: 'MiB' },
  warmUp: { what: 'start of an engine, before there is a task', unit: 'ms' },
} as const;

export type Measure = keyof typeof MEASURES;
export type Figures = Partial<Record<Measure, number>>;
export type EngineName = 'diapause' | 'criu';

// Figures of both engines: medians, one line a measure, a table.
import { type BenchCase, type Figures, type Measure, MEASURES, UNITS } from './case.ts';

export type EngineName = 'diapause' | 'criu';

export interface Row {
  readonly subject: BenchCase;
  readonly measure: Measure;
  readonly figures: Readonly<Record<EngineName, readonly number[]>>;
}

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return undefined;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const number = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

export const describeCase = ({ mebibytes, threads }: BenchCase): string =>
  `${mebibytes >= 1024 ? `${mebibytes / 1024} GiB` : `${mebibytes} MiB`}, ${threads} thread${threads === 1 ? '' : 's'}`;

/** One row a measure that anybody gave. */
export function rows(
  subject: BenchCase,
  results: Readonly<Record<EngineName, readonly Figures[]>>,
): Row[] {
  const of = (engine: EngineName, measure: Measure): number[] =>
    results[engine].flatMap((figures) => figures[measure] ?? []);
  return (Object.keys(MEASURES) as Measure[])
    .map((measure) => ({
      subject,
      measure,
      figures: { diapause: of('diapause', measure), criu: of('criu', measure) },
    }))
    .filter(({ figures }) => figures.diapause.length + figures.criu.length > 0);
}

/** Ours divided by CRIU's medians: below 1 is better than CRIU. */
function ratio({ figures }: Row): string {
  const ours = median(figures.diapause);
  const theirs = median(figures.criu);
  if (ours === undefined || theirs === undefined || theirs === 0) return '-';
  return (ours / theirs).toFixed(3);
}

function spread(values: readonly number[], unit: string): string {
  const middle = median(values);
  if (middle === undefined) return 'not measured';
  return `${number(middle)} ${unit} (${number(Math.min(...values))} to ${number(Math.max(...values))})`;
}

/** `gap seen by the application, 1 GiB, 5 threads: diapause 17 ms, criu 423 ms, ratio 0.040`. */
export function line(row: Row): string {
  const unit = UNITS[row.measure];
  const what = `${MEASURES[row.measure]}, ${describeCase(row.subject)}`;
  const { diapause, criu } = row.figures;
  return `${what}: diapause ${spread(diapause, unit)}, criu ${spread(criu, unit)}, ratio ${ratio(row)}`;
}

/** All rows below each other, medians only. */
export function table(all: readonly Row[]): string {
  const cell = (values: readonly number[]): string => {
    const middle = median(values);
    return middle === undefined ? '-' : number(middle);
  };
  const lines = all.map((row) => [
    MEASURES[row.measure],
    describeCase(row.subject),
    UNITS[row.measure],
    cell(row.figures.diapause),
    cell(row.figures.criu),
    ratio(row),
  ]);
  const head = ['measure (median)', 'program', 'unit', 'diapause', 'criu', 'ratio'];
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((l) => l[i]!.length)));
  const text = (cells: readonly string[]): string =>
    cells
      .map((c, i) => (i < 3 ? c.padEnd(widths[i]!) : c.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [text(head), widths.map((w) => '-'.repeat(w)).join('  '), ...lines.map(text)].join('\n');
}

// Figures of both engines: medians, one line a measure, a table.
import { barOf, type BenchCase, describeCase } from './cases.ts';
import { type EngineName, type Figures, type Measure, MEASURES } from './measures.ts';

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

/** Ours divided by CRIU's medians, below 1 is better than CRIU; undefined when one of them was not measured. */
export function ratioOf({ figures }: Row): number | undefined {
  const ours = median(figures.diapause);
  const theirs = median(figures.criu);
  return ours === undefined || theirs === undefined || theirs === 0 ? undefined : ours / theirs;
}

const ratioText = (ratio: number | undefined): string => ratio?.toFixed(3) ?? '-';

/** `bar 0.050 met`, empty where there is none. */
export function verdict(row: Row): string {
  const bar = barOf(row.measure, row.subject);
  if (bar === undefined) return '';
  const ratio = ratioOf(row);
  const result = ratio === undefined ? 'not compared' : ratio <= bar ? 'met' : 'MISSED';
  return `bar ${bar.toFixed(3)} ${result}`;
}

function spread(values: readonly number[], unit: string): string {
  const middle = median(values);
  if (middle === undefined) return 'not measured';
  return `${number(middle)} ${unit} (${number(Math.min(...values))} to ${number(Math.max(...values))})`;
}

/** `gap seen by the application, 1 GiB, 5 threads: diapause 17 ms, criu 423 ms, ratio 0.040, bar 0.050 met`. */
export function line(row: Row): string {
  const { what, unit } = MEASURES[row.measure];
  const { diapause, criu } = row.figures;
  const parts = [
    `diapause ${spread(diapause, unit)}`,
    `criu ${spread(criu, unit)}`,
    `ratio ${ratioText(ratioOf(row))}`,
    verdict(row),
  ];
  return `${what}, ${describeCase(row.subject)}: ${parts.filter(Boolean).join(', ')}`;
}

const HEAD = ['measure (median)', 'program', 'unit', 'diapause', 'criu', 'ratio', 'bar'];

/** Cells of the table, medians only. */
export function cells(all: readonly Row[]): string[][] {
  const cell = (values: readonly number[]): string => {
    const middle = median(values);
    return middle === undefined ? '-' : number(middle);
  };
  return all.map((row) => [
    MEASURES[row.measure].what,
    describeCase(row.subject),
    MEASURES[row.measure].unit,
    cell(row.figures.diapause),
    cell(row.figures.criu),
    ratioText(ratioOf(row)),
    verdict(row),
  ]);
}

/** All rows below each other, for a terminal. */
export function table(all: readonly Row[]): string {
  const lines = cells(all);
  const widths = HEAD.map((title, i) => Math.max(title.length, ...lines.map((l) => l[i]!.length)));
  const text = (row: readonly string[]): string =>
    row
      .map((c, i) => (i < 3 || i === 6 ? c.padEnd(widths[i]!) : c.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [text(HEAD), widths.map((w) => '-'.repeat(w)).join('  '), ...lines.map(text)].join('\n');
}

/** The same as Markdown. */
export function markdownTable(all: readonly Row[]): string {
  const text = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
  const rule = HEAD.map((_, i) => (i < 3 || i === 6 ? '---' : '---:'));
  return [text(HEAD), text(rule), ...cells(all).map(text)].join('\n');
}

// A picture of one measure as SVG: both engines side by side for every program, on a logarithmic scale.
import { describeCase } from './cases.ts';
import { type EngineName, type Measure, MEASURES } from './measures.ts';
import { median, type Row } from './report.ts';

const WIDTH = 760;
const LABEL = 170;
const RIGHT = 90;
const TOP = 56;
const BAR = 14;
const GAP = 16;
const GROUP = 2 * BAR + GAP;
const COLOURS: Readonly<Record<EngineName, string>> = { diapause: '#2563eb', criu: '#9ca3af' };
const ENGINES = ['diapause', 'criu'] as const;

/** @returns undefined when nothing of it was measured */
export function picture(measure: Measure, all: readonly Row[]): string | undefined {
  const rows = all.filter((row) => row.measure === measure);
  const values = rows.flatMap((row) => ENGINES.flatMap((name) => median(row.figures[name]) ?? []));
  if (values.length === 0) return undefined;
  const low = 10 ** Math.floor(Math.log10(Math.max(0.01, Math.min(...values) / 1.5)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values) * 1.01));
  const height = TOP + rows.length * GROUP + 28;
  const x = (value: number): number =>
    LABEL + ((WIDTH - LABEL - RIGHT) * Math.log(value / low)) / Math.log(high / low);
  const { what, unit } = MEASURES[measure];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="12" y="22" font-size="15">${what} (${unit}, median, logarithmic)</text>`,
    legend(),
    ...gridLines(low, high, x, height),
    ...rows.flatMap((row, i) => group(row, TOP + i * GROUP, x, unit)),
    '</svg>\n',
  ].join('\n');
}

function legend(): string {
  return ENGINES.map((name, i) => {
    const at = 12 + i * 110;
    return `<rect x="${at}" y="32" width="12" height="12" fill="${COLOURS[name]}"/><text x="${at + 18}" y="42">${name}</text>`;
  }).join('');
}

function gridLines(low: number, high: number, x: (v: number) => number, height: number): string[] {
  const decades = Math.round(Math.log10(high / low));
  return Array.from({ length: decades + 1 }, (_, i) => {
    const value = low * 10 ** i;
    const at = x(value).toFixed(1);
    return `<line x1="${at}" x2="${at}" y1="${TOP - 6}" y2="${height - 22}" stroke="#e5e7eb"/><text x="${at}" y="${height - 8}" text-anchor="middle" fill="#6b7280">${Number(value.toPrecision(1))}</text>`;
  });
}

function group(row: Row, y: number, x: (v: number) => number, unit: string): string[] {
  const label = `<text x="${LABEL - 8}" y="${y + BAR + 4}" text-anchor="end">${describeCase(row.subject)}</text>`;
  const bars = ENGINES.flatMap((name, i) => {
    const value = median(row.figures[name]);
    if (value === undefined) return [];
    const [top, end] = [y + i * BAR, x(value)];
    return [
      `<rect x="${LABEL}" y="${top}" width="${(end - LABEL).toFixed(1)}" height="${BAR - 2}" fill="${COLOURS[name]}"/>`,
      `<text x="${(end + 6).toFixed(1)}" y="${top + BAR - 4}" fill="#374151">${Number(value.toPrecision(3))} ${unit}</text>`,
    ];
  });
  return [label, ...bars];
}

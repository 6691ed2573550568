// The last thing the demo shows: one row for each application.
import { formatBytes, formatMillis, formatSeconds } from './narrator.ts';

export interface Row {
  readonly application: string;
  readonly processes: number;
  readonly threads: number;
  readonly memoryBytes: number;
  /** freeze as the application itself saw it */
  readonly frozenMillis: number;
  readonly bundleBytes: number;
  /** from `kubectl apply` of the Restore until the pod was ready */
  readonly restoreMillis: number;
  readonly verified: string;
}

const HEADER = [
  'application',
  'processes',
  'threads',
  'memory',
  'frozen',
  'bundle',
  'restored in',
  'verified',
];
/** Columns that hold numbers stand right. */
const RIGHT = new Set([1, 2, 3, 4, 5, 6]);
/** Programs note gaps from here on: shorter ones they do not see. */
const NOTICEABLE_MILLIS = 3;
/** What was verified goes on below itself rather than past the edge of a terminal. */
const VERIFIED_WIDTH = 48;

export function renderTable(rows: readonly Row[]): string {
  const cells = [HEADER, ...rows.flatMap(toLines)];
  const widths = HEADER.map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  const lines = cells.map((row) =>
    row
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return RIGHT.has(column) ? text.padStart(width) : text.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

/** One row as lines: after the first, only the last column has text. */
function toLines(row: Row): readonly (readonly string[])[] {
  const cells = toCells(row);
  return wrap(cells.at(-1) ?? '').map((text, line) =>
    line === 0 ? [...cells.slice(0, -1), text] : [...HEADER.slice(1).map(() => ''), text],
  );
}

/** Breaks a list behind commas. */
function wrap(text: string): readonly string[] {
  const lines: string[] = [];
  for (const part of text.split(/(?<=, )/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.trimEnd().length <= VERIFIED_WIDTH) {
      lines[lines.length - 1] = last + part;
    } else {
      lines.push(part);
    }
  }
  return lines.map((line) => line.trimEnd());
}

function toCells(row: Row): readonly string[] {
  return [
    row.application,
    String(row.processes),
    String(row.threads),
    formatBytes(row.memoryBytes),
    row.frozenMillis === 0 ? `below ${NOTICEABLE_MILLIS} ms` : formatMillis(row.frozenMillis),
    formatBytes(row.bundleBytes),
    formatSeconds(row.restoreMillis),
    row.verified,
  ];
}

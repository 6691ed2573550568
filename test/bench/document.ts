// Puts what was measured into docs/performance.md, between its two markers, and the pictures beside it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { MEASURES, type Measure } from './measures.ts';
import { picture } from './picture.ts';
import { markdownTable, type Row } from './report.ts';

const DOCUMENT = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const PICTURES = fileURLToPath(new URL('../../docs/performance/', import.meta.url));
const BEGIN = '<!-- measured: begin -->';
const END = '<!-- measured: end -->';
const DRAWN: readonly Measure[] = ['gap', 'durable', 'coldAnswer'];

export interface Circumstances {
  readonly rounds: number;
  /** file system and device of the images */
  readonly volume: string;
  /** what CRIU says of itself, undefined when it was not measured */
  readonly criuVersion: string | undefined;
  /** the machine's load when the run began and ended, proc_loadavg(5) */
  readonly loads: readonly [string, string];
  /** one line each on wrong results and differing bytes */
  readonly correctness: readonly string[];
}

export function writeDocument(all: readonly Row[], circumstances: Circumstances): void {
  mkdirSync(PICTURES, { recursive: true });
  const pictures = DRAWN.flatMap((measure) => {
    const svg = picture(measure, all);
    if (svg === undefined) return [];
    writeFileSync(`${PICTURES}${measure}.svg`, svg);
    return [`![${MEASURES[measure].what}](performance/${measure}.svg)`];
  });
  const measured = [
    ...machine(circumstances),
    '',
    ...pictures,
    '',
    markdownTable(all),
    '',
    ...circumstances.correctness.map((fact) => `- ${fact}`),
  ].join('\n');
  const text = readFileSync(DOCUMENT, 'utf8');
  const [before, after] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)];
  if (after < before) throw new Error(`${DOCUMENT} lacks ${BEGIN} or ${END}`);
  writeFileSync(DOCUMENT, `${text.slice(0, before)}\n${measured}\n${text.slice(after)}`);
}

function machine({ rounds, volume, criuVersion, loads }: Circumstances): string[] {
  const [first] = cpus();
  const gibibytes = (totalmem() / 2 ** 30).toFixed(0);
  return [
    `Machine: ${cpus().length} CPUs (${first?.model.trim() ?? 'unknown'}), ${gibibytes} GiB, Linux ${release()}, images on ${volume}.`,
    `Node ${process.version}; CRIU: ${criuVersion ?? 'not measured'}. ${rounds} rounds; load average ${loads[0]} at the beginning, ${loads[1]} at the end.`,
  ];
}

/** `Version: 4.2` of `criu --version`. */
export function versionOf(path: string): string {
  return execFileSync(path, ['--version'], { encoding: 'utf8' }).split('\n')[0]?.trim() ?? '';
}

// Measures the engine side by side with CRIU, on one machine, in one run: `make bench CRIU=PROGRAM`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type CriuProgram, diapause } from '../victims/criu-command.ts';
import { enterPrivateNamespaces } from '../victims/private-namespaces.ts';
import { type BenchCase, CASES, describeCase, type Extent } from './cases.ts';
import { versionOf, writeDocument } from './document.ts';
import { criuEngine, type Engine, findCriu, ours } from './engines.ts';
import { measureDump, measureRestore, restoresOf } from './measure.ts';
import type { EngineName, Figures } from './measures.ts';
import { line, type Row, rows, table } from './report.ts';
import { describeVerdict, testRestarts } from './restart-tester.ts';

const { values: options } = parseArgs({
  options: {
    criu: { type: 'string' },
    extent: { type: 'string', default: 'common' },
    rounds: { type: 'string' },
    directory: { type: 'string' },
    document: { type: 'boolean', default: false },
  },
});
if (!(options.extent in CASES))
  throw new Error(`--extent is one of ${Object.keys(CASES).join(', ')}`);
const extent = options.extent as Extent;
const rounds = Number(options.rounds ?? (extent === 'quick' ? 2 : 5));
const failures = new Map<string, string>();
const restored: Record<EngineName, number> = { diapause: 0, criu: 0 };

function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

const load = (): string => readFileSync('/proc/loadavg', 'utf8').split(' ')[0]!;

/** Images lie on a real disk below the checkout, unless told otherwise. */
function makeDirectory(): string {
  const parent = options.directory ?? fileURLToPath(new URL('../../.cache/bench', import.meta.url));
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'run-'));
}

function volumeOf(directory: string): string {
  const args = ['--output=fstype,source', directory];
  const [, place] = execFileSync('df', args, { encoding: 'utf8' }).split('\n');
  return place?.trim().replace(/\s+/, ', ') ?? 'unknown';
}

async function attempt<T>(what: string, action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    // Once is enough: the same round after round differs only in pids and times.
    if (!failures.has(what)) say(`${what} could not be measured: ${reason}`);
    failures.set(what, reason);
    return undefined;
  }
}

/** Both engines in turn, who begins alternates: whatever else the machine does hits both alike. */
async function measure(
  subject: BenchCase,
  engines: readonly Engine[],
  directory: string,
): Promise<Row[]> {
  const results: Record<EngineName, Figures[]> = { diapause: [], criu: [] };
  const order = Array.from({ length: rounds }, (_, i) => (i % 2 ? engines.toReversed() : engines));
  for (const engine of order.flat()) {
    for (const [name, take] of Object.entries({ dump: measureDump, restore: measureRestore })) {
      const what = `${engine.name} ${name}, ${describeCase(subject)}`;
      const figures = await attempt(what, () => take(engine, subject, directory));
      if (!figures) continue;
      results[engine.name].push(figures);
      if (name === 'restore') restored[engine.name] += restoresOf(engine, subject);
    }
  }
  return rows(subject, results);
}

async function compareRestarts(
  programs: readonly CriuProgram[],
  directory: string,
): Promise<string[]> {
  const runs = (['leave-running', 'restore'] as const).flatMap((how) =>
    programs.map((program) => ({ how, program })),
  );
  const told: string[] = [];
  for (const { how, program } of runs) {
    const what = `${program.name} restart tester, ${how}`;
    const verdict = await attempt(what, () => testRestarts(program, how, directory));
    if (!verdict) continue;
    say(describeVerdict(program, how, verdict));
    told.push(describeVerdict(program, how, verdict).split('\n')[0]!);
  }
  return told;
}

/** A restore that differs is a failure of its own, so whoever is counted had none. */
const describeBytes = (name: EngineName): string =>
  `bytes of memory that differ after a restore: ${name} ${[...failures.values()].some((reason) => reason === `${name} restored other memory`) ? 'SOME' : 0} in ${restored[name]} restores`;

function introduce(criu: CriuProgram | undefined, directory: string): void {
  if (!criu) {
    say('CRIU is not measured, so there is no ratio and no bar is judged:');
    say('  say CRIU=path/to/criu, or put it into PATH (CRIU 4.2, built from its sources)');
  }
  say(
    `images on ${volumeOf(directory)}; ${rounds} rounds, medians (smallest to largest); load ${load()}`,
  );
  say('ours: the warm engine process that the agent keeps, from the task to its durable result');
  if (criu) say('criu: its command, `sync -f` behind it, its kernel probe cached');
  say('answers: with the images of both on the disk (another node), and of both in memory');
}

async function main(directory: string): Promise<void> {
  const criu = findCriu(options.criu);
  const loadBefore = load();
  introduce(criu, directory);
  const engines = [ours, ...(criu ? [criuEngine(criu)] : [])];
  const all: Row[] = [];
  for (const subject of CASES[extent]) {
    say();
    const measured = await measure(subject, engines, directory);
    for (const row of measured) say(line(row));
    all.push(...measured);
  }
  say(`\n${table(all)}\n`);
  const bytes = engines.map(({ name }) => describeBytes(name));
  for (const text of bytes) say(text);
  const restarts = await compareRestarts([diapause, ...(criu ? [criu] : [])], directory);
  if (!options.document) return;
  writeDocument(all, {
    rounds,
    volume: volumeOf(directory),
    criuVersion: criu && versionOf(criu.path),
    loads: [loadBefore, load()],
    correctness: [...bytes, ...restarts],
  });
}

enterPrivateNamespaces();
const directory = makeDirectory();
try {
  await main(directory);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
for (const [what, reason] of failures) say(`not measured: ${what}: ${reason}`);
process.exitCode = [...failures.keys()].some((what) => what.startsWith('diapause')) ? 1 : 0;

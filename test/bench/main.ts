// Measures the engine side by side with CRIU, on one machine, in one run: `node test/bench/main.ts --criu PROGRAM`.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { builtCriu, type CriuProgram, diapause } from '../victims/criu-command.ts';
import { enterPrivateNamespaces } from '../victims/private-namespaces.ts';
import { type BenchCase, type Figures, measureDump, measureRestore } from './case.ts';
import { describeCase, type EngineName, line, type Row, rows, table } from './report.ts';
import { describeVerdict, testRestarts } from './restart-tester.ts';

const { values: options } = parseArgs({
  options: {
    criu: { type: 'string' },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    directory: { type: 'string' },
  },
});
enterPrivateNamespaces();

const CASES: readonly BenchCase[] = [
  { mebibytes: 64, threads: 5 },
  { mebibytes: 1024, threads: 5 },
  { mebibytes: 1, threads: 1 },
  { mebibytes: 1, threads: 100 },
];
const rounds = Number(options.rounds ?? (options.quick ? 2 : 7));
const failures = new Map<string, string>();

function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

function programs(): CriuProgram[] {
  const { criu } = options;
  if (criu === undefined) {
    const built = builtCriu();
    if (!built) say('CRIU is not measured: say --criu PROGRAM, or CRIU_DIR=its built source tree');
    return built ? [diapause, built] : [diapause];
  }
  if (!existsSync(criu)) throw new Error(`no program at --criu ${criu}`);
  return [diapause, { name: 'criu', path: criu }];
}

/** Images lie on a real disk below the checkout, unless told otherwise. */
function makeDirectory(): string {
  const parent = options.directory ?? fileURLToPath(new URL('../../.cache/bench', import.meta.url));
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'run-'));
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
  engines: readonly CriuProgram[],
  directory: string,
): Promise<Row[]> {
  const results: Record<EngineName, Figures[]> = { diapause: [], criu: [] };
  const order = Array.from({ length: rounds }, (_, i) => (i % 2 ? engines.toReversed() : engines));
  for (const program of order.flat()) {
    for (const [name, take] of Object.entries({ dump: measureDump, restore: measureRestore })) {
      const what = `${program.name} ${name}, ${describeCase(subject)}`;
      const figures = await attempt(what, () => take(program, subject, directory));
      if (figures) results[program.name].push(figures);
    }
  }
  return rows(subject, results);
}

async function compareRestarts(engines: readonly CriuProgram[], directory: string): Promise<void> {
  const runs = (['leave-running', 'restore'] as const).flatMap((how) =>
    engines.map((program) => ({ how, program })),
  );
  for (const { how, program } of runs) {
    const what = `${program.name} restart tester, ${how}`;
    const verdict = await attempt(what, () => testRestarts(program, how, directory));
    if (verdict) say(describeVerdict(program, how, verdict));
  }
}

const engines = programs();
const directory = makeDirectory();
try {
  const [, place] = execFileSync('df', ['--output=fstype,source', directory], {
    encoding: 'utf8',
  }).split('\n');
  say(
    `images on ${place?.trim().replace(/\s+/, ', ')}; ${rounds} rounds, medians (smallest to largest)`,
  );
  say(
    'durable: ours synchronises its images itself, after CRIU comes `sync -f`; CRIU finds its kernel probe cached',
  );
  say(
    'answers: restored from the page cache where the dump left it warm (CRIU writes through it, ours around it)',
  );
  const all: Row[] = [];
  for (const subject of CASES) {
    say();
    const measured = await measure(subject, engines, directory);
    for (const row of measured) say(line(row));
    all.push(...measured);
  }
  say(`\n${table(all)}\n`);
  await compareRestarts(engines, directory);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
for (const [what, reason] of failures) say(`not measured: ${what}: ${reason}`);
process.exitCode = [...failures.keys()].some((what) => what.startsWith('diapause')) ? 1 : 0;

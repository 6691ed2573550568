// Runs suites of tests one after the other and closes with one line for all: `node test/run.ts unit e2e`.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import process from 'node:process';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

interface Suite {
  readonly files: readonly string[];
  readonly without?: readonly string[];
  readonly needsRoot: boolean;
  /** must succeed before the first test */
  readonly prepare?: readonly string[];
  /** longest time one file may take */
  readonly fileTimeoutMillis: number;
}

const MINUTE = 60_000;

const suites: Readonly<Record<string, Suite>> = {
  unit: {
    files: ['{crds,kube,src,node-agent,cli,deploy}/**/*.test.ts', 'test/*.test.ts'],
    without: ['node-agent/engine/**'],
    needsRoot: false,
    fileTimeoutMillis: 5 * MINUTE,
  },
  shim: { files: ['shim/**/*.test.ts'], needsRoot: true, fileTimeoutMillis: 5 * MINUTE },
  engine: {
    files: ['node-agent/engine/**/*.test.ts', 'test/engine/**/*.test.ts'],
    needsRoot: true,
    fileTimeoutMillis: 10 * MINUTE,
  },
  interop: {
    files: ['test/interop/**/*.test.ts'],
    needsRoot: true,
    fileTimeoutMillis: 20 * MINUTE,
  },
  e2e: {
    files: ['test/e2e/**/*.test.ts'],
    needsRoot: true,
    prepare: ['make', 'cluster-up', 'cluster-apps'],
    fileTimeoutMillis: 20 * MINUTE,
  },
};

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Victims, ptrace and clusters do not share a machine well: one file at a time. */
async function runFiles(suite: Suite, files: readonly string[]): Promise<Tally> {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  const events = run({ files: [...files], concurrency: 1, timeout: suite.fileTimeoutMillis });
  events.on('test:summary', ({ file, counts }) => {
    if (file === undefined) {
      tally.passed += counts.passed;
      tally.failed += counts.tests - counts.passed - counts.skipped - counts.todo;
      tally.skipped += counts.skipped + counts.todo;
    }
  });
  for await (const chunk of events.compose(spec)) {
    process.stdout.write(String(chunk));
  }
  return tally;
}

async function runSuite(name: string): Promise<Tally> {
  const suite = suites[name];
  if (suite === undefined) {
    throw new Error(`no suite "${name}", only: ${Object.keys(suites).join(', ')}`);
  }
  const files = globSync(suite.files, { exclude: suite.without ?? [] }).toSorted();
  say(`\n==== ${name}: ${files.length} files`);
  if (files.length === 0) {
    say(`nothing to run: no file matches ${suite.files.join(' ')}`);
    return { passed: 0, failed: 0, skipped: 0 };
  }
  if (suite.needsRoot && process.getuid?.() !== 0) {
    say(`${name} needs root (ptrace, namespaces, mounts): run it with sudo`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const [command, ...args] = suite.prepare ?? [];
  if (command !== undefined && spawnSync(command, args, { stdio: 'inherit' }).status !== 0) {
    say(`${name}: "${[command, ...args].join(' ')}" failed`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  return runFiles(suite, files);
}

const total: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const name of process.argv.slice(2)) {
  const tally = await runSuite(name);
  total.passed += tally.passed;
  total.failed += tally.failed;
  total.skipped += tally.skipped;
}
say(`\ntotal: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
if (total.passed === 0) say('nothing was tested: the reasons are above');
process.exitCode = total.failed === 0 && total.passed + total.skipped > 0 ? 0 : 1;

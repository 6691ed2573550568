// Starts the small C programs that are saved and restored in tests. They are never children of the test process:
// libuv would collect their ptrace stops.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const buildDir = join(here, '../../build/victims');

/** Compiles `test/victims/NAME.c` when it is newer than its program, with more options for gcc if need be. */
export function buildVictim(name: string, moreOptions: readonly string[] = []): string {
  const source = join(here, `${name}.c`);
  const program = join(buildDir, name);
  if (!existsSync(program) || statSync(source).mtimeMs > statSync(program).mtimeMs) {
    mkdirSync(buildDir, { recursive: true });
    execFileSync('gcc', [
      '-O1',
      '-g',
      '-std=gnu17',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-pthread',
      ...moreOptions,
      '-o',
      program,
      source,
    ]);
  }
  return program;
}

export interface Victim {
  readonly pid: number;
  readonly dir: string;
  /** everything it printed so far */
  output(): string;
  /** waits until it printed a line that matches */
  waitForLine(pattern: RegExp, millis?: number): Promise<string>;
  alive(): boolean;
  signal(signal: NodeJS.Signals): void;
  /** ends it and removes its files */
  [Symbol.dispose](): void;
}

/** Start time of a process, so that a reused pid is never signalled. */
function startTime(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function state(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.charAt(text.lastIndexOf(')') + 2);
  } catch {
    return undefined;
  }
}

/** Starts a program in a session of its own with its output in a file; waits until it printed `ready`. */
export async function startVictim(
  program: string,
  args: readonly string[] = [],
  options: { readonly readyLine?: RegExp } = {},
): Promise<Victim> {
  const dir = mkdtempSync(join(tmpdir(), 'diapause-victim-'));
  const out = join(dir, 'out');
  const script = 'out=$1; shift; setsid "$@" </dev/null >>"$out" 2>&1 & echo $!';
  const pid = Number(
    execFileSync('/bin/sh', ['-c', script, 'sh', out, program, ...args], {
      cwd: dir,
      encoding: 'utf8',
    }),
  );
  const victim = watch(pid, dir, out);
  await victim.waitForLine(options.readyLine ?? /ready/);
  return victim;
}

/** It may end by itself at any moment. */
function sendTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A {@link Victim} around a process that already runs (restored by a test). */
export function watch(pid: number, dir: string, out: string): Victim {
  if (!(pid > 1)) throw new Error(`not a process to watch: ${pid}`);
  const born = startTime(pid);
  const same = (): boolean => born !== undefined && startTime(pid) === born;
  const victim: Victim = {
    pid,
    dir,
    output: () => (existsSync(out) ? readFileSync(out, 'utf8') : ''),
    alive: () => same() && state(pid) !== 'Z',
    signal: (signal) => {
      if (same()) sendTo(pid, signal);
    },
    async waitForLine(pattern, millis = 20_000) {
      for (const end = Date.now() + millis; ; ) {
        const line = victim
          .output()
          .split('\n')
          .find((text) => pattern.test(text));
        if (line !== undefined) return line;
        if (Date.now() > end) {
          throw new Error(
            `no line ${pattern} from ${pid}, state ${state(pid)}; it said:\n${victim.output().slice(-2000)}`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    [Symbol.dispose]() {
      if (same()) sendTo(pid, 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return victim;
}

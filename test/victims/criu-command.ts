// Dumps and restores with any program that has CRIU's command line: ours (bin/criu) and CRIU itself.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export interface CriuProgram {
  readonly name: 'diapause' | 'criu';
  readonly path: string;
}

export const diapause: CriuProgram = {
  name: 'diapause',
  path: fileURLToPath(new URL('../../bin/criu', import.meta.url)),
};

/** Where CRIU was built: `CRIU_DIR` of the environment, or around the program that `CRIU` names. */
export function criuTree(): string | undefined {
  const { CRIU_DIR: dir, CRIU: program } = process.env;
  if (dir) return dir;
  return program ? join(dirname(program), '..') : undefined;
}

/** CRIU's program in {@link criuTree}; undefined when there is none. */
export function builtCriu(): CriuProgram | undefined {
  const path = join(criuTree() ?? '', 'criu/criu');
  return criuTree() !== undefined && existsSync(path) ? { name: 'criu', path } : undefined;
}

export interface CommandRun {
  readonly status: number;
  /** CLOCK_REALTIME before it was started, seconds */
  readonly startedAtSeconds: number;
  /** until the program had ended */
  readonly millis: number;
  /** largest resident memory of the program itself that was seen, bytes */
  readonly peakBytes: number;
  readonly log: string;
}

export interface DumpOptions {
  readonly pid: number;
  readonly imagesDir: string;
  readonly leaveRunning?: boolean;
  /** more of the command line */
  readonly more?: readonly string[];
}

export function dumpWith(program: CriuProgram, options: DumpOptions): Promise<CommandRun> {
  const { pid, imagesDir, leaveRunning = false, more = [] } = options;
  if (!(pid > 1)) throw new Error(`not a process to dump: ${pid}`);
  const running = leaveRunning ? ['--leave-running'] : [];
  return run(program, 'dump', imagesDir, ['--tree', String(pid), ...running, ...more]);
}

/** The pids come back as they were; the restored root becomes a child of init. */
export function restoreWith(program: CriuProgram, imagesDir: string): Promise<CommandRun> {
  return run(program, 'restore', imagesDir, ['--restore-detached']);
}

/** @throws Error with the lines of the log that say why, when the command failed */
export function mustSucceed(what: string, { status, log }: CommandRun): void {
  if (status !== 0) throw new Error(`${what}: ${reason(log)}`);
}

/** What a log says about a failure: its errors, else its end. */
export function reason(log: string): string {
  const lines = log.split('\n').filter((line) => line !== '');
  const errors = lines.filter((line) => line.includes('Error'));
  return (errors.length > 0 ? errors.slice(0, 3) : lines.slice(-3)).join(' | ');
}

const POLL_MILLIS = 5;
const LIMIT_MILLIS = 120_000;

function run(
  program: CriuProgram,
  action: 'dump' | 'restore',
  imagesDir: string,
  more: readonly string[],
): Promise<CommandRun> {
  const logFile = `${action}.log`;
  const args = [action, '--images-dir', imagesDir, '--log-file', logFile, ...more];
  const startedAtSeconds = realTimeSeconds();
  const startedAt = process.hrtime.bigint();
  const child = spawn(program.path, args, {
    stdio: 'ignore',
    timeout: LIMIT_MILLIS,
    killSignal: 'SIGKILL',
  });
  let peakBytes = 0;
  const watching = setInterval(() => {
    peakBytes = Math.max(peakBytes, peakResidentBytes(child.pid));
  }, POLL_MILLIS);
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      clearInterval(watching);
      reject(error);
    });
    child.once('exit', (code) => {
      const endedAt = process.hrtime.bigint();
      clearInterval(watching);
      const logPath = join(imagesDir, logFile);
      resolve({
        status: code ?? -1,
        startedAtSeconds,
        millis: Number(endedAt - startedAt) / 1e6,
        peakBytes,
        log: existsSync(logPath) ? readFileSync(logPath, 'utf8') : '',
      });
    });
  });
}

function peakResidentBytes(pid: number | undefined): number {
  try {
    const match = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** CLOCK_REALTIME more exactly than the milliseconds that Date gives: the moment when it ticks. */
function realTimeSeconds(): number {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  return now / 1000;
}

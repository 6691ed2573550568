// The two that are compared, seen alike: CRIU as the command that it is, ours as the warm engine process that the agent keeps.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import type { DumpTask, RestoreTask } from '../../node-agent/engine/protocol.ts';
import {
  builtCriu,
  type CriuProgram,
  dumpWith,
  mustSucceed,
  restoreWith,
} from '../victims/criu-command.ts';
import { dumpTask } from '../victims/engine-process.ts';
import type { EngineName, Figures } from './measures.ts';
import { runWarm, type TaskRun } from './warm-engine.ts';

const MEBIBYTE = 2 ** 20;

export interface Engine {
  readonly name: EngineName;
  /** Dumps a process and, unless it is left running, ends it. Durable when it returns. */
  dump(pid: number, imagesDir: string, leaveRunning: boolean): Promise<Figures>;
  /** @returns CLOCK_REALTIME when it was asked, seconds */
  restore(imagesDir: string): Promise<number>;
  /** The same, but a restored program runs before its memory is there; absent: not by one command */
  readonly lazily?: Engine;
}

const warm = (lazily: boolean): Engine => ({
  name: 'diapause',

  async dump(pid, imagesDir, leaveRunning) {
    const afterDump: DumpTask['afterDump'] = leaveRunning ? 'Resume' : 'Kill';
    return figuresOf(await runWarm(dumpTask(pid, imagesDir, { afterDump })));
  },

  async restore(imagesDir) {
    const trees = [{ name: 'victim', imagesDir }];
    const lazyPages = { logFile: join(imagesDir, 'lazy-pages.log') };
    const task: RestoreTask = { type: 'restore', trees, leaveStopped: false };
    return (await runWarm(lazily ? { ...task, lazyPages } : task)).givenAtSeconds;
  },
});

export const ours: Engine = { ...warm(false), lazily: warm(true) };

const figuresOf = ({ millis, cpuMillis, peakBytes, warmUpMillis }: TaskRun): Figures => ({
  durable: millis,
  dumpCpu: cpuMillis,
  dumpPeak: peakBytes / MEBIBYTE,
  warmUp: warmUpMillis,
});

export function criuEngine(program: CriuProgram): Engine {
  return {
    name: 'criu',

    async dump(pid, imagesDir, leaveRunning) {
      const cpu = childrenCpuMillis();
      const run = await dumpWith(program, { pid, imagesDir, leaveRunning });
      mustSucceed('criu dump', run);
      const dumpCpu = childrenCpuMillis() - cpu;
      const before = performance.now();
      // Ours has synchronised its images by then; CRIU never does.
      settle(imagesDir);
      const durable = run.millis + performance.now() - before;
      return { durable, dumpCpu, dumpPeak: run.peakBytes / MEBIBYTE };
    },

    async restore(imagesDir) {
      const run = await restoreWith(program, imagesDir);
      mustSucceed('criu restore', run);
      return run.startedAtSeconds;
    },
  };
}

/** Dirty data of others must not be written in our time: the file system is clean when a measurement starts. */
export function settle(directory: string): void {
  execFileSync('sync', ['-f', directory]);
}

/** User and system time of ended children, milliseconds in steps of 10: proc_pid_stat(5), cutime and cstime. */
function childrenCpuMillis(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

/**
 * CRIU's program: the one that is named, of `CRIU`, of a built source tree at `CRIU_DIR`, or of `PATH`.
 *
 * @throws Error when the named one does not exist
 */
export function findCriu(named: string | undefined): CriuProgram | undefined {
  const path = named ?? process.env['CRIU'];
  if (path !== undefined && path !== '') {
    if (!existsSync(path)) throw new Error(`no CRIU at ${path}`);
    return { name: 'criu', path };
  }
  const installed = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, 'criu'))
    .find((candidate) => existsSync(candidate));
  return builtCriu() ?? (installed === undefined ? undefined : { name: 'criu', path: installed });
}

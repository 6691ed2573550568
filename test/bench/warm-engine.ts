// The engine as the agent has it: started and rehearsed before there is anything to do, then given one task.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { RUNTIME_FLAGS } from '../../node-agent/engine/runtime-flags.ts';
import type { EngineEvent, EngineTask } from '../../node-agent/engine/protocol.ts';

const MAIN = fileURLToPath(new URL('../../node-agent/engine/main.ts', import.meta.url));
const COMPILE_CACHE = fileURLToPath(new URL('../../build/compile-cache', import.meta.url));
const LIMIT_MILLIS = 120_000;
const LOOK_MILLIS = 5;
const MILLIS_PER_TICK = 10;

/** One task of a warm engine. */
export interface TaskRun {
  /** CLOCK_REALTIME when it was given the task, seconds */
  readonly givenAtSeconds: number;
  /** from the task to its result: everything is durable, or runs */
  readonly millis: number;
  /** user and system time for the task alone */
  readonly cpuMillis: number;
  /** largest resident memory that was seen, the program itself included */
  readonly peakBytes: number;
  /** from the start of the program until it was ready, which no task waits for */
  readonly warmUpMillis: number;
}

/** @throws Error with what the engine said when it did not succeed */
export async function runWarm(task: EngineTask): Promise<TaskRun> {
  const started = performance.now();
  const engine = spawn(process.execPath, [...RUNTIME_FLAGS, MAIN], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    timeout: LIMIT_MILLIS,
    killSignal: 'SIGKILL',
  });
  const events = eventsOf(engine);
  await events.next();
  const warmUpMillis = performance.now() - started;
  const cpuBefore = cpuMillis(engine.pid);
  let [peakBytes, cpuAfter] = [0, cpuBefore];
  const look = (): void => {
    peakBytes = Math.max(peakBytes, peakResidentBytes(engine.pid));
    cpuAfter = Math.max(cpuAfter, cpuMillis(engine.pid));
  };
  const watching = setInterval(look, LOOK_MILLIS);
  const givenAtSeconds = (performance.timeOrigin + performance.now()) / 1000;
  const given = performance.now();
  engine.stdin?.on('error', () => {}).end(JSON.stringify(task));
  try {
    for await (const event of events) {
      if (event.event === 'failed') throw new Error(JSON.stringify(event.failure));
      if (event.event !== 'result') continue;
      const millis = performance.now() - given;
      look();
      return { givenAtSeconds, millis, cpuMillis: cpuAfter - cpuBefore, peakBytes, warmUpMillis };
    }
    throw new Error('the engine ended without a result');
  } finally {
    clearInterval(watching);
    await ended(engine);
  }
}

async function* eventsOf(engine: ChildProcess): AsyncGenerator<EngineEvent, void> {
  let rest = '';
  for await (const text of engine.stdout!.setEncoding('utf8')) {
    const lines = (rest + String(text)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as EngineEvent;
  }
}

function ended(engine: ChildProcess): Promise<void> {
  if (engine.exitCode !== null || engine.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => engine.once('exit', () => resolve()));
}

/** User and system time so far, in steps of 10 ms: proc_pid_stat(5). */
function cpuMillis(pid: number | undefined): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * MILLIS_PER_TICK;
  } catch {
    return 0;
  }
}

function peakResidentBytes(pid: number | undefined): number {
  try {
    const match = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

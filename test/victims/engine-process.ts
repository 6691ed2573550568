// The engine as it is used: a process of its own with a task on stdin and events on stdout; here also to be killed.
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { RUNTIME_FLAGS } from '../../node-agent/engine/runtime-flags.ts';
import type {
  CleanUpResult,
  DumpResult,
  DumpTask,
  EngineEvent,
  EngineFailure,
  EngineOrder,
  EngineTask,
  RestoreResult,
  RewindResult,
} from '../../node-agent/engine/protocol.ts';

const MAIN = fileURLToPath(new URL('../../node-agent/engine/main.ts', import.meta.url));
/** Compiled code is kept: a start takes 0.2 s instead of 0.7 s, and these tests start the engine hundreds of times. */
const COMPILE_CACHE = fileURLToPath(new URL('../../build/compile-cache', import.meta.url));
const LIMIT_MILLIS = 60_000;

export type Stage = Extract<EngineEvent, { event: 'stage' }>['stage'];

export interface EngineEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  /** of a dump */
  readonly result: DumpResult | undefined;
  readonly restored: RestoreResult | undefined;
  readonly cleanedUp: CleanUpResult | undefined;
  readonly rewound: RewindResult | undefined;
  readonly failure: EngineFailure | undefined;
  /** in the order in which they were reported, with the engine's own times */
  readonly stages: readonly { readonly stage: Stage; readonly atMillis: number }[];
}

export interface RunningEngine {
  readonly ended: Promise<EngineEnd>;
  /** SIGKILL, at once */
  kill(): void;
  /** a dump with rounds waits for them */
  tell(order: EngineOrder): void;
  /** nobody will tell it anything any more */
  hangUp(): void;
}

export interface EngineOptions {
  /** command that the engine's command line is handed to (kill-at.c) */
  readonly wrapper?: readonly string[];
  readonly onEvent?: (event: EngineEvent, engine: RunningEngine) => void;
}

/** A dump task with the defaults of these tests. */
export function dumpTask(pid: number, imagesDir: string, more: Partial<DumpTask> = {}): DumpTask {
  if (!(pid > 1)) throw new Error(`not a process to dump: ${pid}`);
  return {
    type: 'dump',
    trees: [{ name: 'victim', rootPid: pid, imagesDir }],
    afterDump: 'Resume',
    freezeLimitMillis: 0,
    establishedSockets: 'Close',
    maxGhostBytes: 1 << 20,
    maxBytes: 0,
    dryRun: false,
    ...more,
  };
}

/** Starts the engine and hands it a task. */
export function startEngine(task: EngineTask, options: EngineOptions = {}): RunningEngine {
  const [program, ...args] = [...(options.wrapper ?? []), process.execPath, ...RUNTIME_FLAGS, MAIN];
  const child = spawn(program!, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    timeout: LIMIT_MILLIS,
    killSignal: 'SIGKILL',
  });
  const events: EngineEvent[] = [];
  let stderr = '';
  const engine: RunningEngine = {
    kill: () => void child.kill('SIGKILL'),
    tell: (order) => void child.stdin.write(`${JSON.stringify(order)}\n`),
    hangUp: () => void child.stdin.end(),
    ended: new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status, signal) =>
        resolve({ status, signal, stderr, ...summary(events) }),
      );
    }),
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // The engine may be dead before it has read its task.
  child.stdin.on('error', () => {}).write(`${JSON.stringify(task)}\n`);
  if (!('rounds' in task)) child.stdin.end();
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = JSON.parse(line) as EngineEvent;
      events.push(event);
      options.onEvent?.(event, engine);
    }
  });
  return engine;
}

function summary(events: readonly EngineEvent[]): Omit<EngineEnd, 'status' | 'signal' | 'stderr'> {
  const result = events.find((event) => event.event === 'result')?.result;
  return {
    result: result && 'requirements' in result ? result : undefined,
    restored: result && 'restoreMillis' in result ? result : undefined,
    cleanedUp: result && 'removed' in result ? result : undefined,
    rewound: result && 'endedProcesses' in result ? result : undefined,
    failure: events.find((event) => event.event === 'failed')?.failure,
    stages: events.filter((event) => event.event === 'stage'),
  };
}

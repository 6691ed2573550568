// One engine: a process that does one task and ends. Killing it at any moment lets the application run on
// (design E3), so killing is the answer to everything that takes too long.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { Deadline, abortable } from '../../kube/deadline.ts';
import { jsonLines } from '../../kube/json-lines.ts';
import { ProcessHandle } from '../container/process-handle.ts';
import type {
  EngineEvent,
  EngineFailure,
  EngineOrder,
  EngineResult,
  EngineTask,
} from '../engine/protocol.ts';

const READY_MILLIS = 20_000;
/** After its last word the engine has only to exit. */
const EXIT_MILLIS = 10_000;
const MAX_LINE_BYTES = 64 << 20;
const STDERR_BYTES = 8192;
const MAX_SAID_LINES = 5;

/** Program and arguments that start the engine. */
export type Command = readonly [program: string, ...args: string[]];

/** The engine said no, and let the application go before it did. */
export class EngineFailedError extends Error {
  readonly failure: EngineFailure;

  /** @param stderr where in the engine it happened, for the log */
  constructor(failure: EngineFailure, stderr = '') {
    super(failure.message);
    this.name = 'EngineFailedError';
    this.failure = failure;
    if (stderr !== '') this.stack = stderr;
  }
}

/** The engine ended without a word: it crashed or was killed by somebody else. */
export class EngineCrashedError extends Error {
  constructor(how: string, stderr: string) {
    const said = withoutStack(stderr);
    super(`the engine ended without a result (${how})${said === '' ? '' : `: ${said}`}`);
    this.name = 'EngineCrashedError';
    if (stderr !== '') this.stack = stderr;
  }
}

/** What users can read of it; frames of a stack are for the log. */
function withoutStack(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !/^\s+at /.test(line));
  return lines.slice(-MAX_SAID_LINES).join('; ');
}

/** Names a process so that it can be found, and told from others, by a later agent. */
export interface EngineIdentity {
  readonly pid: number;
  readonly startTime: string;
}

export interface EngineRun {
  readonly onEvent: (event: EngineEvent) => void;
  /** its abort kills the engine */
  readonly signal: AbortSignal;
}

export class EngineProcess implements Disposable {
  readonly identity: EngineIdentity;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #events: AsyncGenerator<unknown, void>;
  readonly #exited: Promise<unknown>;
  #stderr = '';
  #ended = false;

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child;
    this.#exited = once(child, 'exit').finally(() => (this.#ended = true));
    // Looked at in `run`; a spare that dies is noticed by `alive`.
    this.#exited.catch(() => undefined);
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_BYTES);
    });
    this.#events = jsonLines(child.stdout, MAX_LINE_BYTES);
    this.identity = identify(child.pid);
  }

  /** Starts an engine and waits until it can take a task. @throws EngineCrashedError */
  static async start([program, ...args]: Command): Promise<EngineProcess> {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    const engine = new EngineProcess(child);
    using deadline = new Deadline(READY_MILLIS);
    try {
      const first = await abortable(engine.#next(), deadline.signal);
      if (first?.event !== 'ready') {
        throw new EngineCrashedError('it did not say that it is ready', engine.#stderr.trim());
      }
      return engine;
    } catch (error) {
      engine[Symbol.dispose]();
      throw error;
    }
  }

  get alive(): boolean {
    return !this.#ended;
  }

  /**
   * Hands over the task and follows it to its end.
   *
   * @throws EngineFailedError, EngineCrashedError, or the signal's reason once the engine is dead
   */
  async run(task: EngineTask, { onEvent, signal }: EngineRun): Promise<EngineResult> {
    const kill = (): void => this.kill();
    signal.addEventListener('abort', kill);
    try {
      signal.throwIfAborted();
      this.#child.stdin.write(`${JSON.stringify(task)}\n`);
      if (!takesOrders(task)) {
        this.#child.stdin.end();
      }
      const last = await this.#follow(onEvent);
      await this.#awaitExit();
      // Its own word counts more than what followed from it: half-built processes die with a failed restore.
      if (last?.event !== 'failed') signal.throwIfAborted();
      return this.#resultOf(last);
    } catch (error) {
      if (signal.aborted && !(error instanceof EngineFailedError)) {
        // Its listener does not hear of an abort that came first.
        this.kill();
        await this.#awaitExit();
        throw signal.reason;
      }
      throw error;
    } finally {
      signal.removeEventListener('abort', kill);
      this.kill();
    }
  }

  /** What comes next, to an engine that waits for it. */
  tell(order: EngineOrder): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  [Symbol.dispose](): void {
    this.kill();
  }

  async #follow(onEvent: (event: EngineEvent) => void): Promise<EngineEvent | undefined> {
    let last: EngineEvent | undefined;
    for (let event = await this.#next(); event !== undefined; event = await this.#next()) {
      onEvent(event);
      if (event.event === 'result' || event.event === 'failed') {
        last = event;
      }
    }
    return last;
  }

  async #next(): Promise<EngineEvent | undefined> {
    try {
      const { value, done } = await this.#events.next();
      return done === true ? undefined : (value as EngineEvent);
    } catch (error) {
      // A kill in the middle of a line, or nonsense: either way nothing more can be understood.
      if (error instanceof SyntaxError) {
        this.kill();
        return undefined;
      }
      throw error;
    }
  }

  #resultOf(last: EngineEvent | undefined): EngineResult {
    if (last?.event === 'result') {
      return last.result;
    }
    if (last?.event === 'failed') {
      throw new EngineFailedError(last.failure, this.#stderr.trim());
    }
    const { exitCode, signalCode } = this.#child;
    throw new EngineCrashedError(signalCode ?? `exit status ${exitCode}`, this.#stderr.trim());
  }

  async #awaitExit(): Promise<void> {
    using deadline = new Deadline(EXIT_MILLIS);
    try {
      await abortable(this.#exited, deadline.signal);
    } catch (error) {
      if (!deadline.expired) {
        throw error;
      }
      this.kill();
      await this.#exited;
    }
  }
}

const takesOrders = (task: EngineTask): boolean =>
  task.type === 'dump' && task.rounds !== undefined;

function identify(pid: number | undefined): EngineIdentity {
  using handle = pid === undefined ? undefined : ProcessHandle.open(pid);
  if (handle === undefined) {
    throw new EngineCrashedError('it could not be started', '');
  }
  return { pid: handle.pid, startTime: handle.startTime };
}

/**
 * Ends an engine that an earlier agent left behind, if it still is that very process.
 *
 * @returns true when there was one
 */
export function killLeftEngine({ pid, startTime }: EngineIdentity): boolean {
  using handle = ProcessHandle.open(pid, startTime);
  if (handle?.alive !== true) {
    return false;
  }
  process.kill(handle.pid, 'SIGKILL');
  return true;
}

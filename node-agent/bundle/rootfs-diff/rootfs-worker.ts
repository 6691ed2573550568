// The agent's side of the rootfs worker: starts one for a request, follows its progress, kills it when told to.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { jsonLines } from '../../../kube/json-lines.ts';
import { TaskFailure } from '../../task-failure.ts';
import { storeFailure } from '../store-error.ts';
import type { RootfsEvent, RootfsFailure, RootfsRequest, RootfsResult } from './protocol.ts';

const STDERR_BYTES = 4096;
/** Only the archive can meet these while a difference is collected. */
const STORE_ERRORS: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'ESTALE']);

export interface RootfsRun {
  readonly signal: AbortSignal;
  /** bytes of archive written or read so far */
  readonly onBytes?: (bytes: number) => void;
}

export interface RootfsWorker {
  /** @throws TaskFailure, or the signal's reason */
  run(request: RootfsRequest, run: RootfsRun): Promise<RootfsResult>;
}

/** @param command program and arguments that start `worker.ts` or its bundle */
export function createRootfsWorker(command: readonly [string, ...string[]]): RootfsWorker {
  return { run: (request, run) => runWorker(command, request, run) };
}

async function runWorker(
  [program, ...args]: readonly [string, ...string[]],
  request: RootfsRequest,
  { signal, onBytes }: RootfsRun,
): Promise<RootfsResult> {
  signal.throwIfAborted();
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: {} });
  const exited = once(child, 'exit');
  // Looked at below; until then nobody listens.
  exited.catch(() => undefined);
  const kill = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk).slice(-STDERR_BYTES)));
  // It may die before it has read all: its exit says so better than EPIPE.
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(request));
  try {
    let last: RootfsEvent | undefined;
    for await (const line of jsonLines(child.stdout)) {
      last = line as RootfsEvent;
      if (last.event === 'progress') {
        onBytes?.(last.bytes);
      }
    }
    await exited;
    signal.throwIfAborted();
    return resultOf(request, last, stderr);
  } catch (error) {
    // Killed in the middle of a line: the reason for killing says more.
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
  }
}

function resultOf(
  request: RootfsRequest,
  last: RootfsEvent | undefined,
  stderr: string,
): RootfsResult {
  if (last?.event === 'result') {
    return last.result;
  }
  if (last?.event === 'failed') {
    throw failureOf(request, last.failure);
  }
  const facts = `the rootfs worker ended without a result: ${stderr.trim() || 'it said nothing'}`;
  throw new TaskFailure('TaskFailed', facts, { retryable: true });
}

function failureOf(request: RootfsRequest, { code, errno, message }: RootfsFailure): Error {
  if (code !== undefined) {
    return new TaskFailure(code, message);
  }
  const collects = request.type !== 'apply';
  const doing = `${collects ? 'saving' : 'restoring'} the files of the container`;
  if (collects && errno !== undefined && STORE_ERRORS.has(errno)) {
    return storeFailure(Object.assign(new Error(message), { code: errno }), doing);
  }
  return new TaskFailure('TaskFailed', `${doing}: ${message}`);
}

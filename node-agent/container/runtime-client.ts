// What the container runtime knows about a container: asked by its CRI socket, else read from its files.
import { readFile } from 'node:fs/promises';
import { Deadline } from '../../kube/deadline.ts';
import { errnoOf, messageOf, TaskFailure } from '../task-failure.ts';
import {
  type CriContainerStatus,
  decodeExecResponse,
  decodeStatusResponse,
  encodeExecRequest,
  encodeStatusRequest,
  type ExecRequest,
  type ExecResult,
  STATE_RUNNING,
} from './cri-messages.ts';
import { callUnary, GrpcError } from './grpc-unary.ts';

const CALL_TIMEOUT_MILLIS = 10_000;
const NOT_FOUND = 5;

/** The parts of an OCI runtime specification that we read. */
export interface RuntimeSpec {
  readonly mounts?: readonly {
    readonly destination: string;
    readonly type?: string;
    readonly source?: string;
    readonly options?: readonly string[];
  }[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly root?: { readonly path?: string; readonly readonly?: boolean };
}

export interface RuntimeContainer {
  readonly pid: number;
  /** undefined when only files were there to read */
  readonly status: CriContainerStatus | undefined;
  /** `io.containerd.runc.v2` and the like; undefined when the runtime does not tell */
  readonly runtimeType: string | undefined;
  readonly sandboxId: string | undefined;
  readonly spec: RuntimeSpec;
}

export interface RuntimeClientOptions {
  /** tried in this order; those that do not exist are passed over */
  readonly socketPaths: readonly string[];
  /** folders with `<id>/init.pid` and `<id>/config.json`, for when no socket may be used */
  readonly taskFolders: readonly string[];
}

export const DEFAULT_RUNTIME: RuntimeClientOptions = {
  socketPaths: ['/run/containerd/containerd.sock', '/run/crio/crio.sock'],
  taskFolders: ['/run/containerd/io.containerd.runtime.v2.task/k8s.io'],
};

export interface RuntimeClient {
  /** @throws TaskFailure ContainerNotFound, ContainerNotRunning, TaskFailed when no runtime answers */
  inspect(id: string, signal: AbortSignal): Promise<RuntimeContainer>;
  /**
   * Runs a command inside a container until it ends, whatever its exit status.
   *
   * @throws TaskFailure ContainerNotFound, HookFailed when it could not be started or did not end in time
   */
  exec(request: ExecRequest, signal: AbortSignal): Promise<ExecResult>;
}

export function createRuntimeClient(options: RuntimeClientOptions): RuntimeClient {
  return {
    async inspect(id, signal) {
      const problems: string[] = [];
      for (const socketPath of options.socketPaths) {
        const found = await attempt(problems, () => inspectBySocket(socketPath, id, signal));
        if (found !== undefined) {
          return found;
        }
      }
      for (const folder of options.taskFolders) {
        const found = await attempt(problems, () => inspectByFiles(`${folder}/${id}`));
        if (found !== undefined) {
          return found;
        }
      }
      const facts = `no container runtime answered: ${problems.join('; ') || 'none configured'}`;
      throw new TaskFailure('TaskFailed', facts, { retryable: true });
    },
    async exec(request, signal) {
      const problems: string[] = [];
      for (const socketPath of options.socketPaths) {
        const result = await attempt(problems, () => execBySocket(socketPath, request, signal));
        if (result !== undefined) {
          return result;
        }
      }
      const facts = `no container runtime answered: ${problems.join('; ') || 'none configured'}`;
      throw new TaskFailure('HookFailed', facts);
    },
  };
}

/** A failure is an answer; anything else is a problem of this way, and the next is tried. */
async function attempt<T>(problems: string[], way: () => Promise<T>): Promise<T | undefined> {
  try {
    return await way();
  } catch (error) {
    if (error instanceof TaskFailure || !isOrdinary(error)) {
      throw error;
    }
    problems.push(messageOf(error));
    return undefined;
  }
}

const isOrdinary = (error: unknown): boolean =>
  error instanceof GrpcError || errnoOf(error) !== undefined;

async function inspectBySocket(
  socketPath: string,
  id: string,
  signal: AbortSignal,
): Promise<RuntimeContainer> {
  using deadline = new Deadline(CALL_TIMEOUT_MILLIS, signal);
  try {
    const answer = await callUnary({
      socketPath,
      method: '/runtime.v1.RuntimeService/ContainerStatus',
      message: encodeStatusRequest(id),
      signal: deadline.signal,
    });
    return readAnswer(answer, id);
  } catch (error) {
    if (error instanceof GrpcError && error.status === NOT_FOUND) {
      throw new TaskFailure('ContainerNotFound', `the runtime knows no container ${id}`);
    }
    throw deadline.expired ? new GrpcError(socketPath, undefined, messageOf(error)) : error;
  }
}

/** The runtime kills the command in time; should it not answer, this is how much longer we wait. */
const EXEC_GRACE_MILLIS = 2_000;

async function execBySocket(
  socketPath: string,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<ExecResult> {
  using deadline = new Deadline(request.timeoutSeconds * 1000 + EXEC_GRACE_MILLIS, signal);
  try {
    const answer = await callUnary({
      socketPath,
      method: '/runtime.v1.RuntimeService/ExecSync',
      message: encodeExecRequest(request),
      signal: deadline.signal,
    });
    return decodeExecResponse(answer);
  } catch (error) {
    if (deadline.expired) {
      throw new TaskFailure('HookFailed', `no answer within ${request.timeoutSeconds} s`);
    }
    // An answer of the runtime: another socket would not know better, and nothing shall run twice.
    if (error instanceof GrpcError && error.status !== undefined) {
      throw new TaskFailure('HookFailed', error.message);
    }
    throw error;
  }
}

interface VerboseInfo {
  readonly pid?: number;
  readonly sandboxID?: string;
  readonly runtimeType?: string;
  readonly runtimeSpec?: RuntimeSpec;
}

function readAnswer(answer: Uint8Array, id: string): RuntimeContainer {
  const { status, info } = decodeStatusResponse(answer);
  if (status.id !== id) {
    throw new TaskFailure('ContainerMismatch', `asked for ${id}, the runtime told of ${status.id}`);
  }
  if (status.state !== STATE_RUNNING) {
    throw new TaskFailure('ContainerNotRunning', `container ${id} is in state ${status.state}`);
  }
  const verbose = JSON.parse(info['info'] ?? '{}') as VerboseInfo;
  return {
    pid: verbose.pid ?? 0,
    status,
    runtimeType: verbose.runtimeType,
    sandboxId: verbose.sandboxID,
    spec: verbose.runtimeSpec ?? {},
  };
}

async function inspectByFiles(folder: string): Promise<RuntimeContainer> {
  const pid = Number((await readFile(`${folder}/init.pid`, 'latin1')).trim());
  const spec = JSON.parse(await readFile(`${folder}/config.json`, 'utf8')) as RuntimeSpec;
  return { pid, status: undefined, runtimeType: undefined, sandboxId: undefined, spec };
}

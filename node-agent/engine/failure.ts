// Any error as machine-readable facts: the code is stable, the sentence tells what to do next.
import { RefusedError } from './finding.ts';
import { ImageError } from './image/image-error.ts';
import { LinuxError } from './linux/error.ts';
import type { EngineFailure } from './protocol.ts';
import { MemoryDiffersError } from './memory/compare.ts';
import { PidTakenError } from './restore/process-cloner.ts';
import { DeadlineError } from './tracee/deadline.ts';
import { TraceeError } from './tracee/remote-run.ts';
import { UnstoppableError } from './tracee/tracer.ts';
import { RewindLostError } from './rewind.ts';
import { FreezeLimitError } from './freeze-limit.ts';
import { SizeLimitError } from './size-limit.ts';

const STORE_ERRORS: Readonly<Record<string, string>> = {
  ENOSPC: 'StoreFull',
  EDQUOT: 'StoreFull',
  EROFS: 'StoreReadOnly',
  EIO: 'StoreIo',
};

/** Errors of ours whose class says everything. */
const CODES: readonly (readonly [abstract new (...args: never[]) => Error, string])[] = [
  [ImageError, 'ImageDamaged'],
  [UnstoppableError, 'Unstoppable'],
  [PidTakenError, 'PidTaken'],
  [FreezeLimitError, 'FreezeLimit'],
  [SizeLimitError, 'BudgetExceeded'],
  [MemoryDiffersError, 'MemoryDiffers'],
  [DeadlineError, 'Deadline'],
  [TraceeError, 'TraceeLost'],
  [RewindLostError, 'RewindLost'],
];

/** What went wrong, for the agent and its users. */
export function describeFailure(error: unknown): EngineFailure {
  if (!(error instanceof Error)) return { code: 'Internal', message: String(error) };
  const { message } = error;
  if (error instanceof RefusedError) {
    const first = error.findings.find((f) => f.severity === 'refusal');
    return { code: first?.code ?? 'Refused', message, findings: error.findings };
  }
  if (error instanceof LinuxError) return describeLinuxError(error);
  const known = CODES.find(([type]) => error instanceof type);
  if (known) return { code: known[1], message };
  return describeNodeError(error) ?? { code: 'Internal', message: `${error.name}: ${message}` };
}

function describeLinuxError({ errno, message, call, pid }: LinuxError): EngineFailure {
  const code = STORE_ERRORS[errno] ?? 'SystemCallFailed';
  return { code, message, call, errno, ...(pid === undefined ? {} : { pid }) };
}

/** An error of Node's own file calls: `code` is the errno. */
function describeNodeError(error: Error): EngineFailure | undefined {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code !== 'string') return undefined;
  return {
    code: STORE_ERRORS[code] ?? 'SystemCallFailed',
    message: error.message,
    errno: code,
    ...(typeof syscall === 'string' ? { call: syscall } : {}),
  };
}

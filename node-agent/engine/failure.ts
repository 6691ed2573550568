// Any error as machine-readable facts: the code is stable, the sentence tells what to do next.
import { RefusedError } from './finding.ts';
import { ImageError } from './image/image-error.ts';
import { LinuxError } from './linux/error.ts';
import type { EngineFailure } from './protocol.ts';
import { PidTakenError } from './restore/process-cloner.ts';
import { DeadlineError } from './tracee/deadline.ts';
import { TraceeError } from './tracee/remote-run.ts';
import { UnstoppableError } from './tracee/tracer.ts';
import { FreezeLimitError } from './freeze-limit.ts';
import { SizeLimitError } from './tree-dump.ts';

const STORE_ERRORS: Readonly<Record<string, string>> = {
  ENOSPC: 'StoreFull',
  EDQUOT: 'StoreFull',
  EROFS: 'StoreReadOnly',
  EIO: 'StoreIo',
};

/** What went wrong, for the agent and its users. */
export function describeFailure(error: unknown): EngineFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RefusedError) {
    const first = error.findings.find((f) => f.severity === 'refusal');
    return { code: first?.code ?? 'Refused', message, findings: error.findings };
  }
  if (error instanceof LinuxError) {
    const code = STORE_ERRORS[error.errno] ?? 'SystemCallFailed';
    return {
      code,
      message,
      call: error.call,
      errno: error.errno,
      ...(error.pid === undefined ? {} : { pid: error.pid }),
    };
  }
  if (error instanceof ImageError) return { code: 'ImageDamaged', message };
  if (error instanceof UnstoppableError) return { code: 'Unstoppable', message };
  if (error instanceof PidTakenError) return { code: 'PidTaken', message, pid: error.pid };
  if (error instanceof FreezeLimitError) return { code: 'FreezeLimit', message };
  if (error instanceof SizeLimitError) return { code: 'BudgetExceeded', message };
  if (error instanceof DeadlineError) return { code: 'Deadline', message };
  if (error instanceof TraceeError) return { code: 'TraceeLost', message, pid: error.tid };
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code === 'string') {
    return {
      code: STORE_ERRORS[code] ?? 'SystemCallFailed',
      message,
      errno: code,
      ...(typeof syscall === 'string' ? { call: syscall } : {}),
    };
  }
  return { code: 'Internal', message: error instanceof Error ? (error.stack ?? message) : message };
}

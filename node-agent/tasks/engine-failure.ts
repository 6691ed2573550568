// What the engine says, as failures and reports that users know. Pure.
import { TASK_ERROR_CODES, type TaskErrorCode } from '../../crds/conditions.ts';
import type { Report } from '../../crds/meta.ts';
import type { Finding } from '../engine/finding.ts';
import type { EngineFailure } from '../engine/protocol.ts';
import { TaskFailure } from '../task-failure.ts';

const CODES: Readonly<Record<string, TaskErrorCode>> = {
  FreezeLimit: 'FreezeLimitExceeded',
  StoreIo: 'StoreUnavailable',
  Unstoppable: 'PodBusy',
  ImageDamaged: 'BundleInvalid',
  TraceeLost: 'ContainerNotRunning',
  RewindLost: 'RewindFailed',
};

/** Failures of the moment: the next attempt may well succeed. */
const PASSING: ReadonlySet<TaskErrorCode> = new Set([
  'PodBusy',
  'StoreUnavailable',
  // A probe or a session was in the way for too long; the next attempt has a pod of its own.
  'PidTaken',
]);

/** @param container name for the report where the finding itself does not tell; empty for several */
export function reportOf(findings: readonly Finding[], container: string): Report[] {
  return findings.map(({ severity, code, tree, pid, tid, object, advice }) => {
    const thread = tid === undefined || tid === pid ? '' : `thread ${tid}: `;
    return {
      severity,
      code,
      container: tree ?? container,
      pid,
      message: `${thread}${object}: ${advice}`,
    };
  });
}

/** @param cause for the agent's log: it knows where in the engine it happened */
export function failureOfEngine(
  failure: EngineFailure,
  container: string,
  cause?: unknown,
): TaskFailure {
  const report = reportOf(failure.findings ?? [], container);
  const code = codeOf(failure);
  const tree = failure.findings?.find(({ severity }) => severity === 'refusal')?.tree;
  const message = tree === undefined ? failure.message : `container ${tree}: ${failure.message}`;
  return new TaskFailure(code, message, { report, retryable: PASSING.has(code), cause });
}

function codeOf({ code, call, errno, findings }: EngineFailure): TaskErrorCode {
  const known = TASK_ERROR_CODES.find((name) => name === code) ?? CODES[code];
  if (known !== undefined) {
    return known;
  }
  if (findings?.some(({ severity }) => severity === 'refusal') === true) {
    return 'Unsupported';
  }
  if (call?.startsWith('ptrace') === true && errno === 'EPERM') {
    // We are privileged: only another tracer can be in the way.
    return 'PodBusy';
  }
  return errno === 'ESRCH' ? 'ContainerNotRunning' : 'EngineFailed';
}

// Failed system calls on the store, as the failures that users know.
import type { TaskErrorCode } from '../../crds/conditions.ts';
import { errnoOf, messageOf, TaskFailure } from '../task-failure.ts';

const CODES: Readonly<Record<string, TaskErrorCode>> = {
  ENOSPC: 'StoreFull',
  EDQUOT: 'StoreFull',
  EFBIG: 'StoreFull',
  EROFS: 'StoreReadOnly',
  EACCES: 'StoreUnavailable',
  EPERM: 'StoreUnavailable',
  EIO: 'StoreUnavailable',
  ESTALE: 'StoreUnavailable',
  ENODEV: 'StoreUnavailable',
  ENXIO: 'StoreUnavailable',
  ETIMEDOUT: 'StoreUnavailable',
  ENOTCONN: 'StoreUnavailable',
};

/** Errors that another attempt may not meet again. */
const PASSING: ReadonlySet<string> = new Set(['EIO', 'ESTALE', 'ETIMEDOUT', 'ENOTCONN']);

/**
 * The failure behind an error met while `doing` something on the store; failures pass through unchanged.
 *
 * @param doing for the message: `writing pages-1.img`
 */
export function storeFailure(error: unknown, doing: string): Error {
  if (error instanceof TaskFailure) {
    return error;
  }
  const errno = errnoOf(error);
  if (errno === undefined) {
    return error instanceof Error ? error : new Error(String(error));
  }
  const code = CODES[errno] ?? 'StoreUnavailable';
  return new TaskFailure(code, `${doing}: ${messageOf(error)}`, {
    retryable: PASSING.has(errno),
    cause: error,
  });
}

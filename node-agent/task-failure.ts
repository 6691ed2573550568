// Why a task of this node failed: a code of the closed set, facts for people, and what was found on the way.
import type { TaskErrorCode } from '../crds/conditions.ts';
import type { Report } from '../crds/meta.ts';

export interface FailureDetails {
  /** worth another attempt without any change by the user */
  readonly retryable?: boolean;
  /** findings that belong into the user's report */
  readonly report?: readonly Report[];
  readonly cause?: unknown;
}

/** The one error that handlers throw. `message` states facts; the advice of the code is added by the controller. */
export class TaskFailure extends Error {
  readonly code: TaskErrorCode;
  readonly retryable: boolean;
  readonly report: readonly Report[];

  constructor(code: TaskErrorCode, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'TaskFailure';
    this.code = code;
    this.retryable = details.retryable ?? false;
    this.report = details.report ?? [];
  }
}

/** `ENOENT` and the like, or undefined for errors that no system call made. */
export function errnoOf(error: unknown): string | undefined {
  // Node says `code` and numbers `errno`; our own calls say `errno`.
  const { code, errno } = (error ?? {}) as { readonly code?: unknown; readonly errno?: unknown };
  return [code, errno].find((name) => typeof name === 'string' && /^E[A-Z0-9]+$/.test(name)) as
    | string
    | undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

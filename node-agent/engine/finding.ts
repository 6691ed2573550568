// What the engine has to say about one object of the application: the same from dry run to `kubectl get`.

/** How much a finding matters: a refusal stops the work, a loss is saved without it, a note is only told. */
export type Severity = 'refusal' | 'loss' | 'note';

/**
 * One fact about one object that is not saved, or not exactly.
 *
 * @property code    machine-readable kind, CamelCase, stable (`IoUring`, `TcpEstablished` ...)
 * @property tree    name of the tree in the task: pids of different trees may be equal
 * @property pid     process as the application knows it (innermost pid namespace), 0 for the whole tree
 * @property tid     thread, where it matters
 * @property object  what it is about, for people (`fd 7 -> anon_inode:[io_uring]`)
 * @property advice  what the user can do next
 */
export interface Finding {
  readonly code: string;
  readonly severity: Severity;
  readonly tree?: string;
  readonly pid: number;
  readonly tid?: number;
  readonly object: string;
  readonly advice: string;
}

/** The engine stops before it changed anything for good: `findings` holds at least one refusal. */
export class RefusedError extends Error {
  readonly findings: readonly Finding[];

  constructor(findings: readonly Finding[]) {
    const first = findings.find((f) => f.severity === 'refusal');
    super(
      first ? `${first.code}: process ${first.pid}, ${first.object}: ${first.advice}` : 'refused',
    );
    this.name = 'RefusedError';
    this.findings = findings;
  }
}

/** Shorthand for the commonest finding. */
export function refusal(code: string, pid: number, object: string, advice: string): Finding {
  return { code, severity: 'refusal', pid, object, advice };
}

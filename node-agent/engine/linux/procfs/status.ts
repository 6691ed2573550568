// /proc/PID/status and /proc/PID/stat.
import { readSmallProc } from './read.ts';

export interface ProcStatus {
  /** one letter, `T` stopped, `t` traced, `Z` zombie */
  readonly state: string;
  readonly umask: number;
  /** pid in each nested pid namespace, outermost first; the last is what the application sees */
  readonly nsPids: readonly number[];
  readonly nsPgids: readonly number[];
  readonly nsSids: readonly number[];
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  readonly tracerPid: number;
  readonly blockedSignals: bigint;
  readonly caughtSignals: bigint;
  readonly ignoredSignals: bigint;
  readonly pendingSignals: bigint;
  readonly sharedPendingSignals: bigint;
  readonly capabilities: {
    readonly inheritable: bigint;
    readonly permitted: bigint;
    readonly effective: bigint;
    readonly bounding: bigint;
    readonly ambient: bigint;
  };
  readonly noNewPrivileges: boolean;
  /** 0 off, 1 strict, 2 filter */
  readonly seccompMode: number;
  readonly threads: number;
}

/** Parses /proc/PID/status; proc_pid_status(5). `task` may be `PID` or `PID/task/TID`. */
export function readStatus(task: number | string): ProcStatus {
  return parseStatus(readSmallProc(`/proc/${task}/status`));
}

/** Each value is read out of the text when it is asked for: of some 60 lines most callers want a few. */
export function parseStatus(text: string): ProcStatus {
  return new StatusText(text);
}

class StatusText implements ProcStatus {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get state(): string {
    return (this.#field('State') ?? '?').charAt(0);
  }
  get umask(): number {
    return Number.parseInt(this.#field('Umask') ?? '22', 8);
  }
  get nsPids(): readonly number[] {
    return this.#numbers('NSpid');
  }
  get nsPgids(): readonly number[] {
    return this.#numbers('NSpgid');
  }
  get nsSids(): readonly number[] {
    return this.#numbers('NSsid');
  }
  get uids(): readonly number[] {
    return this.#numbers('Uid');
  }
  get gids(): readonly number[] {
    return this.#numbers('Gid');
  }
  get groups(): readonly number[] {
    return this.#numbers('Groups');
  }
  get tracerPid(): number {
    return Number(this.#field('TracerPid') ?? 0);
  }
  get blockedSignals(): bigint {
    return this.#mask('SigBlk');
  }
  get caughtSignals(): bigint {
    return this.#mask('SigCgt');
  }
  get ignoredSignals(): bigint {
    return this.#mask('SigIgn');
  }
  get pendingSignals(): bigint {
    return this.#mask('SigPnd');
  }
  get sharedPendingSignals(): bigint {
    return this.#mask('ShdPnd');
  }
  get capabilities(): ProcStatus['capabilities'] {
    return {
      inheritable: this.#mask('CapInh'),
      permitted: this.#mask('CapPrm'),
      effective: this.#mask('CapEff'),
      bounding: this.#mask('CapBnd'),
      ambient: this.#mask('CapAmb'),
    };
  }
  get noNewPrivileges(): boolean {
    return this.#field('NoNewPrivs') === '1';
  }
  get seccompMode(): number {
    return Number(this.#field('Seccomp') ?? 0);
  }
  get threads(): number {
    return Number(this.#field('Threads') ?? 1);
  }

  #field(key: string): string | undefined {
    const text = this.#text;
    const at = text.startsWith(`${key}:`) ? 0 : text.indexOf(`\n${key}:`) + 1;
    if (at === 0 && !text.startsWith(`${key}:`)) return undefined;
    return text.slice(at + key.length + 1, text.indexOf('\n', at)).trim();
  }

  #numbers(key: string): number[] {
    return (this.#field(key) ?? '').split(/\s+/).filter(Boolean).map(Number);
  }

  #mask(key: string): bigint {
    return BigInt(`0x${this.#field(key) ?? '0'}`);
  }
}

/** The id that the application itself sees: the last of the nested ones. */
export const innermost = (ids: readonly number[]): number => ids[ids.length - 1] ?? 0;

/** Fields of /proc/PID/stat by their number in proc_pid_stat(5); 3 is the state. */
export function readStat(pid: number): (field: number) => string {
  const text = readSmallProc(`/proc/${pid}/stat`);
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .trim()
    .split(' ');
  return (field) => {
    const value = fields[field - 3];
    if (value === undefined) throw new Error(`/proc/${pid}/stat has no field ${field}`);
    return value;
  };
}

export const STAT = {
  state: 3,
  ppid: 4,
  session: 6,
  ttyNumber: 7,
  foregroundGroup: 8,
  flags: 9,
  startTime: 22,
  startCode: 26,
  endCode: 27,
  startStack: 28,
  startData: 45,
  endData: 46,
  startBrk: 47,
  argStart: 48,
  argEnd: 49,
  envStart: 50,
  envEnd: 51,
  exitCode: 52,
} as const;

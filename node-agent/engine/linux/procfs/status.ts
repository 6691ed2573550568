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

export function parseStatus(text: string): ProcStatus {
  // Of some 60 lines a quarter is wanted: looking for those is quicker than taking all apart.
  const field = (key: string): string | undefined => {
    const at = text.startsWith(`${key}:`) ? 0 : text.indexOf(`\n${key}:`) + 1;
    if (at === 0 && !text.startsWith(`${key}:`)) return undefined;
    return text.slice(at + key.length + 1, text.indexOf('\n', at)).trim();
  };
  const numbers = (key: string): number[] =>
    (field(key) ?? '').split(/\s+/).filter(Boolean).map(Number);
  const mask = (key: string): bigint => BigInt(`0x${field(key) ?? '0'}`);
  return {
    state: (field('State') ?? '?').charAt(0),
    umask: Number.parseInt(field('Umask') ?? '22', 8),
    nsPids: numbers('NSpid'),
    nsPgids: numbers('NSpgid'),
    nsSids: numbers('NSsid'),
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    groups: numbers('Groups'),
    tracerPid: Number(field('TracerPid') ?? 0),
    blockedSignals: mask('SigBlk'),
    caughtSignals: mask('SigCgt'),
    ignoredSignals: mask('SigIgn'),
    pendingSignals: mask('SigPnd'),
    sharedPendingSignals: mask('ShdPnd'),
    capabilities: {
      inheritable: mask('CapInh'),
      permitted: mask('CapPrm'),
      effective: mask('CapEff'),
      bounding: mask('CapBnd'),
      ambient: mask('CapAmb'),
    },
    noNewPrivileges: field('NoNewPrivs') === '1',
    seccompMode: Number(field('Seccomp') ?? 0),
    threads: Number(field('Threads') ?? 1),
  };
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

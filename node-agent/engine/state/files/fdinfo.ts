// Text of /proc/PID/fdinfo/N: position, flags, and what each kind adds; proc_pid_fdinfo(5).

export interface FdInfo {
  readonly pos: bigint;
  /** open flags without O_CLOEXEC, which belongs to the descriptor */
  readonly flags: number;
  readonly closeOnExec: boolean;
  readonly mountId: number;
  /** everything as `name: value`; kinds read their own lines from it */
  readonly lines: readonly (readonly [name: string, value: string])[];
}

const O_CLOEXEC = 0o2000000;

export function parseFdInfo(text: string): FdInfo {
  const lines: [string, string][] = [];
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) lines.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
  }
  const flags = Number.parseInt(valueOf(lines, 'flags') ?? '0', 8);
  return {
    pos: BigInt.asUintN(64, BigInt(valueOf(lines, 'pos') ?? '0')),
    flags: flags & ~O_CLOEXEC,
    closeOnExec: (flags & O_CLOEXEC) !== 0,
    mountId: Number(valueOf(lines, 'mnt_id') ?? -1),
    lines,
  };
}

function valueOf(lines: FdInfo['lines'], name: string): string | undefined {
  return lines.find(([key]) => key === name)?.[1];
}

/** Value of the first line of that name. */
export function fdInfoValue(info: FdInfo, name: string): string | undefined {
  return valueOf(info.lines, name);
}

/** Values of all lines of that name, in the kernel's order. */
export function fdInfoValues(info: FdInfo, name: string): string[] {
  return info.lines.filter(([key]) => key === name).map(([, value]) => value);
}

// Text of /proc/PID/fdinfo/N: position, flags, and what each kind adds; proc_pid_fdinfo(5).

export interface FdInfo {
  readonly pos: bigint;
  /** open flags without O_CLOEXEC, which belongs to the descriptor */
  readonly flags: number;
  readonly closeOnExec: boolean;
  readonly mountId: number;
  /** lines `name: value`; kinds read their own from it */
  readonly text: string;
}

const O_CLOEXEC = 0o2000000;

export function parseFdInfo(text: string): FdInfo {
  const flags = Number.parseInt(valueOf(text, 'flags') ?? '0', 8);
  return {
    pos: BigInt.asUintN(64, BigInt(valueOf(text, 'pos') ?? '0')),
    flags: flags & ~O_CLOEXEC,
    closeOnExec: (flags & O_CLOEXEC) !== 0,
    mountId: Number(valueOf(text, 'mnt_id') ?? -1),
    text,
  };
}

/** Every descriptor of a freeze is asked for locks, and few have any: nothing is taken apart that is not asked for. */
function* valuesOf(text: string, name: string): Generator<string> {
  const start = `${name}:`;
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf(start, at);
    if (found < 0) return;
    const end = text.indexOf('\n', found);
    const stop = end < 0 ? text.length : end;
    if (found === 0 || text[found - 1] === '\n') {
      yield text.slice(found + start.length, stop).trim();
      at = stop;
    } else at = found + start.length;
  }
}

function valueOf(text: string, name: string): string | undefined {
  for (const value of valuesOf(text, name)) return value;
  return undefined;
}

/** Value of the first line of that name. */
export function fdInfoValue(info: FdInfo, name: string): string | undefined {
  return valueOf(info.text, name);
}

/** Values of all lines of that name, in the kernel's order. */
export function fdInfoValues(info: FdInfo, name: string): string[] {
  return [...valuesOf(info.text, name)];
}

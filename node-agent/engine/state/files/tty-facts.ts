// What makes a terminal what it is: settings, size, modes, and whose it is.
import { TtyType } from '../../image/messages/enums.ts';
import type { TtyInfoEntry } from '../../image/messages/terminals.ts';
import type { FileStat } from '../../linux/file-facts.ts';
import { innermost, readStat, readStatus, STAT } from '../../linux/procfs/status.ts';
import {
  foregroundGroup,
  isExclusive,
  isLocked,
  isPacketMode,
  readLockedSettings,
  readSettings,
  readWindow,
  terminalSession,
} from '../../linux/terminals.ts';
import { deviceNumber } from './device-number.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';
import { settingsEntry } from './terminal-settings.ts';

/** Which terminal an open file leads to. */
export interface TerminalRole {
  /** of its message */
  readonly id: number;
  /** TtyType */
  readonly type: number;
  /** N of /dev/pts/N */
  readonly index: number | undefined;
  /** the master of a pair, where the tree has it */
  readonly master: OpenFile | undefined;
  /** false: its master is closed, and it answers nothing any more */
  readonly alive: boolean;
}

/** Session and foreground group, as the application numbers them; 0 for none. */
interface Job {
  readonly sid: number;
  readonly pgrp: number;
}

const NOBODY: Job = { sid: 0, pgrp: 0 };

export function describeTerminal(file: OpenFile, role: TerminalRole, dump: FileDump): TtyInfoEntry {
  const { id, type, index, master } = role;
  const { stat, duplicate } = file;
  const { sid, pgrp } = master ? jobOfMaster(master) : jobOfHolder(file, role, dump);
  const owner = slaveStat(role, dump) ?? stat;
  return {
    id,
    type,
    locked: master ? isLocked(master.duplicate) : false,
    exclusive: isExclusive(duplicate),
    packetMode: master ? isPacketMode(master.duplicate) : false,
    sid,
    pgrp,
    rdev: deviceOf(stat),
    // CRIU wants all three or none, and of a terminal outside all three.
    ...((master || type === TtyType.EXT_TTY) && {
      termios: settingsEntry(readSettings(duplicate)),
      termiosLocked: settingsEntry(readLockedSettings(duplicate)),
      winsize: readWindow(duplicate),
    }),
    ...(index !== undefined && type !== TtyType.EXT_TTY && { pty: { index } }),
    dev: deviceNumber(stat.dev),
    uid: owner.uid,
    gid: owner.gid,
  };
}

/** The owner of the name /dev/pts/N, told by a slave that is open. */
function slaveStat({ index, master }: TerminalRole, dump: FileDump) {
  if (!master || index === undefined) return undefined;
  return dump.filesOf(`/dev/pts/${index}`)[0]?.stat;
}

function jobOfMaster({ duplicate }: OpenFile): Job {
  const sid = terminalSession(duplicate) ?? 0;
  if (sid <= 0) return NOBODY;
  return { sid: innerOf(sid, 'nsSids'), pgrp: innerOf(foregroundGroup(duplicate) ?? 0, 'nsPgids') };
}

const deviceOf = ({ rdevMajor, rdevMinor }: FileStat): number =>
  deviceNumber((rdevMajor << 20) | rdevMinor);

/** A slave tells nobody but its own session; /proc does. */
function jobOfHolder({ stat }: OpenFile, { type }: TerminalRole, { subjects }: FileDump): Job {
  if (type !== TtyType.EXT_TTY) return NOBODY;
  const device = deviceOf(stat);
  for (const { process } of subjects) {
    const field = readStat(process.pid);
    if (Number(field(STAT.ttyNumber)) !== device) continue;
    return {
      sid: innerOf(Number(field(STAT.session)), 'nsSids'),
      pgrp: innerOf(Number(field(STAT.foregroundGroup)), 'nsPgids'),
    };
  }
  return NOBODY;
}

function innerOf(id: number, which: 'nsSids' | 'nsPgids'): number {
  try {
    return id > 0 ? innermost(readStatus(id)[which]) : 0;
  } catch {
    // Its leader has ended.
    return 0;
  }
}

// What the images of every kind of System V IPC have in common.
import type { Finding } from '../../finding.ts';
import type { IpcDescEntry } from '../../image/messages/ipc.ts';
import type { IpcObject, IpcPermissions } from '../../linux/sysv-ipc.ts';

/** Id of the one IPC namespace of a dump, in the names of its images. */
export const IPC_NS_ID = 3;

/** Bits of a segment's mode: it goes with its last attachment; it is locked in memory. shmctl(2) */
const MODE = { DEST: 0o1000, LOCKED: 0o2000, PERMISSIONS: 0o777 } as const;

export const describe = ({ permissions, destroyed, locked }: IpcObject): IpcDescEntry => ({
  ...permissions,
  key: permissions.key >>> 0,
  mode: permissions.mode | (destroyed ? MODE.DEST : 0) | (locked ? MODE.LOCKED : 0),
});

export const permissionsOf = (saved: IpcDescEntry): IpcPermissions => ({
  ...saved,
  mode: saved.mode & MODE.PERMISSIONS,
});

export const isDestroyed = ({ mode }: IpcDescEntry): boolean => (mode & MODE.DEST) !== 0;
export const isLocked = ({ mode }: IpcDescEntry): boolean => (mode & MODE.LOCKED) !== 0;

/** Who made an object may do with it what its owner may; the kernel takes the engine for him. */
export function tellCreator(
  what: string,
  { id, cuid, cgid }: IpcDescEntry,
  report: (finding: Finding) => void,
): void {
  if (cuid === 0 && cgid === 0) return;
  report({
    code: 'IpcCreator',
    severity: 'note',
    pid: 0,
    object: `${what} ${id}`,
    advice: `its creator was user ${cuid}, group ${cgid}, and is root now; its owner is the same`,
  });
}

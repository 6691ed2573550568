// Who gets SIGIO for a descriptor: F_SETOWN_EX, F_SETSIG and F_GETOWNER_UIDS of fcntl(2).
import { SYS } from '../arch/x86-64.ts';
import { allocate, syscall } from './ffi.ts';

const F_SETSIG = 10;
const F_SETOWN_EX = 15;
const F_GETOWNER_UIDS = 17;

export const OWNER_COMMAND = { F_SETOWN: 8, F_SETSIG, F_SETOWN_EX } as const;

const scratch = allocate(4096);

/** With whose rights the owner of an open file is signalled. */
export interface OwnerRights {
  readonly uid: number;
  readonly euid: number;
}

/** Only with CONFIG_CHECKPOINT_RESTORE; without it whoever is owner is so with nobody's rights. */
export function ownerRights(fd: number): OwnerRights {
  const known = syscall(SYS.fcntl, fd, F_GETOWNER_UIDS, scratch.address) === 0;
  const uid = known ? scratch.view.getUint32(0, true) : 0;
  const euid = known ? scratch.view.getUint32(4, true) : 0;
  return { uid, euid };
}

// F_SETOWN state of an open file, in the application's own numbers.
import { SYS } from '../../arch/x86-64.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { OwnerType } from '../../image/messages/enums.ts';
import type { FownEntry } from '../../image/messages/file-owner.ts';
import { O } from '../../linux/file-facts.ts';
import { OWNER_COMMAND, ownerRights } from '../../linux/file-owner.ts';
import { innermost, readStatus } from '../../linux/procfs/status.ts';
import type { FileEntry } from '../../image/messages/files.ts';
import type { FileOpening } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';

export const NO_OWNER: FownEntry = { uid: 0, euid: 0, signum: 0, pidType: 0, pid: 0 };

/** Reads the owner through the engine's duplicate. */
export function ownerOf(file: OpenFile): FownEntry {
  if (file.info.flags & O.PATH) return NO_OWNER;
  const { signalled } = file;
  if (!signalled || (signalled.pid === 0 && signalled.signal === 0)) return NO_OWNER;
  const { type, pid, signal } = signalled;
  if (pid === 0) return { ...NO_OWNER, signum: signal };
  return {
    ...ownerRights(file.duplicate),
    signum: signal,
    pidType: type,
    pid: innerId(type, pid, file),
  };
}

/** The engine sees its own numbers, the image holds the application's. */
function innerId(type: number, id: number, file: OpenFile): number {
  try {
    const status = readStatus(id);
    return innermost(type === OwnerType.PGRP ? status.nsPgids : status.nsPids);
  } catch {
    file.report(
      'loss',
      'FileOwnerGone',
      'the process that was to get SIGIO has ended; nobody gets it after the restore',
    );
    return 0;
  }
}

/** What every member of a file message has that belongs to an open file. */
interface OwnedMember {
  readonly fown: FownEntry;
  readonly flags?: number;
}

const isOwned = (member: object | number | undefined): member is OwnedMember =>
  typeof member === 'object' && 'fown' in member;

/** The part of a file's message that has its owner and flags. */
export function ownedMember(entry: FileEntry): OwnedMember | undefined {
  const members: readonly (object | number | undefined)[] = Object.values(entry);
  return members.find(isOwned);
}

/**
 * Sets the owner from a process that holds the file, in the application's own numbers, then O_ASYNC, which only acts
 * with an owner. All processes and threads exist.
 */
export function restoreOwner(entry: FileEntry, opening: FileOpening): void {
  const member = ownedMember(entry);
  const [holder] = opening.wantedOf(entry.id);
  if (!member || !holder) return;
  const { fown, flags = 0 } = member;
  const { builder, fd } = holder;
  if (fown.signum !== 0) {
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.fcntl, fd, OWNER_COMMAND.F_SETSIG, fown.signum);
  }
  if (fown.pid !== 0) {
    builder.makeRoom(1, 24);
    const who = Buffer.alloc(8);
    who.writeInt32LE(fown.pidType, 0);
    who.writeInt32LE(fown.pid, 4);
    builder.batch.must(SYS.fcntl, fd, OWNER_COMMAND.F_SETOWN_EX, builder.batch.bytes(who));
  }
  if (flags & O.ASYNC) {
    builder.flush();
    fcntl(opening.engineFd(entry.id), FCNTL.F_SETFL, flags);
  }
}

// System V IPC of the caller's namespace: segments, semaphores, message queues; sysvipc(7).
import { existsSync, writeFileSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { check, LinuxError } from './error.ts';
import { allocate, syscall } from './ffi.ts';

const IPC = { RMID: 0, SET: 1, STAT: 2, CREAT: 0o1000, EXCL: 0o2000 } as const;
/** Commands of {shm,sem,msg}ctl(2) that list what there is: the highest index, and the object at an index. */
const LISTING = {
  shm: { call: SYS.shmctl, info: 14, statAny: 15 },
  sem: { call: SYS.semctl, info: 19, statAny: 20 },
  msg: { call: SYS.msgctl, info: 12, statAny: 13 },
} as const;
const SHM_LOCK = 11;
const SHM_RDONLY = 0o10000;
const SHM_MODE = { DEST: 0o1000, LOCKED: 0o2000 } as const;
const SEM = { GETALL: 13, SETALL: 17 } as const;
const MSG = { NOWAIT: 0o4000, COPY: 0o40000 } as const;
const PERMISSIONS = 0o777;
const ENOMSG = 42;
const EINVAL = 22;
const EIDRM = 43;
/** Longest text of a message, and most semaphores of a set, that the kernel allows by default: they may be raised. */
const AREA_BYTES = 1 << 20;

/** Longest text that is saved, and so restored: the kernel allows 8 KiB unless told otherwise. */
export const MAX_MESSAGE_BYTES = AREA_BYTES - 8;

const area = allocate(AREA_BYTES);

export type IpcKind = keyof typeof LISTING;

/** `struct ipc64_perm`. */
export interface IpcPermissions {
  readonly id: number;
  readonly key: number;
  readonly uid: number;
  readonly gid: number;
  readonly cuid: number;
  readonly cgid: number;
  readonly mode: number;
}

/** An object and the rest of its `struct *id64_ds`. */
export interface IpcObject {
  readonly permissions: IpcPermissions;
  /** bytes of a segment */
  readonly segmentBytes: bigint;
  readonly destroyed: boolean;
  readonly locked: boolean;
  /** semaphores of a set */
  readonly semaphores: number;
  /** messages of a queue, and the bytes it may hold */
  readonly messages: number;
  readonly queueBytes: number;
}

export interface IpcMessage {
  readonly type: bigint;
  readonly text: Buffer;
}

/** All objects of a kind, by index. */
export function listObjects(kind: IpcKind): IpcObject[] {
  const { call, info, statAny } = LISTING[kind];
  const last = check(control(call, 0, info), `${kind}ctl(INFO)`);
  const found: IpcObject[] = [];
  for (let index = 0; index <= last; index++) {
    const id = control(call, index, statAny);
    if (id === -EINVAL || id === -EIDRM) continue;
    found.push(parse(check(id, `${kind}ctl(STAT_ANY)`)));
  }
  return found;
}

/** semctl(2) takes the number of a semaphore in between. */
function control(call: number, id: number, command: number): number {
  return call === SYS.semctl
    ? syscall(call, id, 0, command, area.address)
    : syscall(call, id, command, area.address);
}

function parse(id: number): IpcObject {
  const { view } = area;
  const word = (at: number): number => view.getUint32(at, true);
  const mode = word(20);
  return {
    permissions: {
      id,
      key: word(0),
      uid: word(4),
      gid: word(8),
      cuid: word(12),
      cgid: word(16),
      mode: mode & PERMISSIONS,
    },
    segmentBytes: view.getBigUint64(48, true),
    destroyed: (mode & SHM_MODE.DEST) !== 0,
    locked: (mode & SHM_MODE.LOCKED) !== 0,
    semaphores: Number(view.getBigUint64(80, true)),
    messages: Number(view.getBigUint64(80, true)),
    queueBytes: Number(view.getBigUint64(88, true)),
  };
}

/** Does the kernel let ids be chosen? */
export const canChooseIds = (): boolean => existsSync('/proc/sys/kernel/shm_next_id');

/** Makes an object of the id that it shall have (CONFIG_CHECKPOINT_RESTORE); whatever had key or id before is removed. */
export function makeObject(kind: IpcKind, permissions: IpcPermissions, size: bigint): void {
  const { id, key } = permissions;
  removeLike(kind, permissions);
  writeFileSync(`/proc/sys/kernel/${kind}_next_id`, String(id));
  const got = create(kind, key | 0, size);
  const object = `${kind} ${id}`;
  if (check(got, `${kind}get`, { object }) !== id) {
    remove(kind, got);
    throw new LinuxError(`${kind}get`, 17, { object: `${object} came to be as ${got}` });
  }
}

function create(kind: IpcKind, key: number, size: bigint): number {
  const flags = IPC.CREAT | IPC.EXCL | 0o600;
  if (kind === 'msg') return syscall(SYS.msgget, key, flags);
  return syscall(kind === 'shm' ? SYS.shmget : SYS.semget, key, size, flags);
}

/** Removes what has the same key or id. */
export function removeLike(kind: IpcKind, { id, key }: IpcPermissions): void {
  for (const { permissions } of listObjects(kind)) {
    const sameKey = key !== 0 && permissions.key === key;
    if (permissions.id === id || sameKey) remove(kind, permissions.id);
  }
}

function remove(kind: IpcKind, id: number): void {
  check(control(LISTING[kind].call, id, IPC.RMID), `${kind}ctl(IPC_RMID)`);
}

/** Owner and mode, after everything else; of a queue also how many bytes it may hold. */
export function setOwner(kind: IpcKind, permissions: IpcPermissions, queueBytes = 0): void {
  const { call } = LISTING[kind];
  const { id, uid, gid, mode } = permissions;
  const object = `${kind} ${id}`;
  check(control(call, id, IPC.STAT), `${kind}ctl(IPC_STAT)`, { object });
  area.view.setUint32(4, uid, true);
  area.view.setUint32(8, gid, true);
  area.view.setUint32(20, mode, true);
  if (kind === 'msg') area.view.setBigUint64(88, BigInt(queueBytes), true);
  check(control(call, id, IPC.SET), `${kind}ctl(IPC_SET)`, { object });
}

/** Attaches a segment to this process for reading, runs `look` with its address, detaches. */
export function withSegment<T>(id: number, look: (address: number) => T): T {
  const object = `shm ${id}`;
  const address = check(syscall(SYS.shmat, id, 0, SHM_RDONLY), 'shmat', { object });
  try {
    return look(address);
  } finally {
    check(syscall(SYS.shmdt, address), 'shmdt', { object });
  }
}

export function lockSegment(id: number): void {
  check(syscall(SYS.shmctl, id, SHM_LOCK, 0), 'shmctl(SHM_LOCK)', { object: `shm ${id}` });
}

/** Marks a segment to go with its last attachment. */
export const destroySegment = (id: number): void => remove('shm', id);

/** Values of a set, 16 bits each. */
export function semaphoreValues(id: number, count: number): Buffer {
  check(syscall(SYS.semctl, id, 0, SEM.GETALL, area.address), 'semctl(GETALL)');
  return Buffer.from(area.bytes.subarray(0, 2 * count));
}

export function setSemaphores(id: number, values: Uint8Array): void {
  area.bytes.set(values);
  check(syscall(SYS.semctl, id, 0, SEM.SETALL, area.address), 'semctl(SETALL)');
}

/** Copies of all messages; they stay in the queue (CONFIG_CHECKPOINT_RESTORE). @throws LinuxError E2BIG for a longer one */
export function peekMessages(id: number): IpcMessage[] {
  const messages: IpcMessage[] = [];
  const flags = MSG.COPY | MSG.NOWAIT;
  for (;;) {
    const args = [id, area.address, MAX_MESSAGE_BYTES, messages.length, flags] as const;
    const length = syscall(SYS.msgrcv, ...args);
    if (length === -ENOMSG) return messages;
    check(length, 'msgrcv(MSG_COPY)', { object: `msg ${id}` });
    messages.push({
      type: area.view.getBigUint64(0, true),
      text: Buffer.from(area.bytes.subarray(8, 8 + length)),
    });
  }
}

export function sendMessage(id: number, { type, text }: IpcMessage): void {
  area.view.setBigUint64(0, type, true);
  area.bytes.set(text, 8);
  const args = [id, area.address, text.length, MSG.NOWAIT] as const;
  check(syscall(SYS.msgsnd, ...args), 'msgsnd', { object: `msg ${id}` });
}

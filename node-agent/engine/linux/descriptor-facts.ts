// What /proc tells of the descriptors of a process, many at once: link, statx, fdinfo.
import { SYS } from '../arch/x86-64.ts';
import { decodeText } from '../image/text.ts';
import { CallBatch } from './call-batch.ts';
import { OwnedFd } from './descriptors.ts';
import { check } from './error.ts';
import {
  type FileStat,
  O,
  openPath,
  parseStat,
  readLink,
  readWhole,
  STATX_BASIC_STATS,
  STATX_BYTES,
} from './file-facts.ts';

/** One descriptor as its process has it. */
export interface DescriptorFacts {
  readonly fd: number;
  /** text of /proc/PID/fd/N */
  readonly link: string;
  readonly stat: FileStat;
  /** text of /proc/PID/fdinfo/N */
  readonly info: string;
}

/** What is longer is asked for once more, alone. */
const LINK_BYTES = 512;
const INFO_BYTES = 512;
const NAME_BYTES = 16;
/** Places in the room of one descriptor, the name first. */
const STAT = NAME_BYTES;
const LINK = STAT + STATX_BYTES;
const INFO = LINK + LINK_BYTES;
const ROOM_BYTES = INFO + INFO_BYTES;

/** Calls for one descriptor, in this order. */
const CALL = { LINK: 0, STAT: 1, OPEN: 2, READ: 3, CLOSE: 4 } as const;
const CALLS = 5;
const DESCRIPTORS = 64;

const batch = new CallBatch(DESCRIPTORS * CALLS, DESCRIPTORS * ROOM_BYTES);

for (let i = 0; i < DESCRIPTORS; i++) {
  const call = (which: number): number => i * CALLS + which;
  const at = (offset: number): bigint => batch.at(i * ROOM_BYTES + offset);
  const name = at(0);
  batch.set(call(CALL.LINK), SYS.readlinkat, 0, name, at(LINK), LINK_BYTES);
  batch.set(call(CALL.STAT), SYS.statx, 0, name, 0, STATX_BASIC_STATS, at(STAT));
  batch.set(call(CALL.OPEN), SYS.openat, 0, name, O.RDONLY | O.CLOEXEC, 0);
  batch.set(call(CALL.READ), SYS.read, { call: call(CALL.OPEN) }, at(INFO), INFO_BYTES);
  batch.set(call(CALL.CLOSE), SYS.close, { call: call(CALL.OPEN) });
}

/** @throws LinuxError when one of them is not there */
export function readDescriptors(pid: number, fds: readonly number[]): DescriptorFacts[] {
  using links = new OwnedFd(openPath(`/proc/${pid}/fd`, O.RDONLY | O.DIRECTORY));
  using infos = new OwnedFd(openPath(`/proc/${pid}/fdinfo`, O.RDONLY | O.DIRECTORY));
  const facts: DescriptorFacts[] = [];
  for (let from = 0; from < fds.length; from += DESCRIPTORS) {
    const part = fds.slice(from, from + DESCRIPTORS);
    part.forEach((fd, i) => prepare(i, fd, { links, infos }));
    batch.run(part.length * CALLS);
    part.forEach((fd, i) => facts.push(answer(i, fd, { links, infos })));
  }
  return facts;
}

interface Directories {
  readonly links: OwnedFd;
  readonly infos: OwnedFd;
}

function prepare(i: number, fd: number, { links, infos }: Directories): void {
  const end = batch.data.write(String(fd), i * ROOM_BYTES, 'latin1');
  batch.data[i * ROOM_BYTES + end] = 0;
  batch.setArgument(i * CALLS + CALL.LINK, 0, links.fd);
  batch.setArgument(i * CALLS + CALL.STAT, 0, links.fd);
  batch.setArgument(i * CALLS + CALL.OPEN, 0, infos.fd);
}

function answer(i: number, fd: number, { links, infos }: Directories): DescriptorFacts {
  const object = `fd ${fd}`;
  const result = (which: number, call: string): number =>
    check(batch.result(i * CALLS + which), call, { object });
  const linkBytes = result(CALL.LINK, 'readlink');
  result(CALL.STAT, 'statx');
  result(CALL.OPEN, 'open');
  const infoBytes = result(CALL.READ, 'read');
  const room = i * ROOM_BYTES;
  const stat = parseStat(batch.view, room + STAT);
  const whole = linkBytes < LINK_BYTES && infoBytes < INFO_BYTES;
  if (!whole) {
    return {
      fd,
      stat,
      link: readLink(String(fd), links.fd),
      info: readWhole(String(fd), infos.fd),
    };
  }
  const link = decodeText(batch.data.subarray(room + LINK, room + LINK + linkBytes));
  return {
    fd,
    link,
    stat,
    info: batch.data.toString('latin1', room + INFO, room + INFO + infoBytes),
  };
}

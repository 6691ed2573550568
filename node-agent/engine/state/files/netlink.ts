// Netlink sockets: their port, the groups they listen to, and whom they talk to; netlink(7).
import { FdType } from '../../image/messages/enums.ts';
import type { NetlinkSkEntry } from '../../image/messages/sockets.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { check, LinuxError } from '../../linux/error.ts';
import { O } from '../../linux/file-facts.ts';
import { inNetworkOf } from '../../linux/network-namespace.ts';
import { POLL, pollNow } from '../../linux/readiness.ts';
import {
  AF,
  getOption,
  localAddress,
  makeSocket,
  peerAddress,
  setOption,
  tryAddress,
} from '../../linux/sockets.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import { ownerOf } from './owner.ts';
import { readOptions, writeOptions } from './socket-options.ts';
import { domainOf } from './unix-socket.ts';

const SOL_NETLINK = 270;
const NETLINK = { ADD_MEMBERSHIP: 1, LIST_MEMBERSHIPS: 9 } as const;
const MEMBERSHIP_BYTES = 128;
const ADDRESS_BYTES = 12;
const CONNECTED = 1;
const CLOSE = 7;

/** `struct sockaddr_nl`. */
const parse = (address: Buffer | undefined): { portid: number; groups: number } =>
  address && address.length >= ADDRESS_BYTES
    ? { portid: address.readUInt32LE(4), groups: address.readUInt32LE(8) }
    : { portid: 0, groups: 0 };

function addressBytes(portid: number, groups: number): Buffer {
  const bytes = Buffer.alloc(ADDRESS_BYTES);
  bytes.writeUInt16LE(AF.NETLINK, 0);
  bytes.writeUInt32LE(portid, 4);
  bytes.writeUInt32LE(groups, 8);
  return bytes;
}

export const netlink: FileKind = {
  name: 'netlink',

  recognises: (file) => domainOf(file) === AF.NETLINK,

  collect(file, dump) {
    const fd = file.duplicate;
    if (pollNow(fd, POLL.IN) & POLL.IN) {
      return file.refuse(
        'NetlinkQueue',
        'the kernel has told it something that it has not read yet: try again in a moment',
      );
    }
    const { portid, groups } = parse(localAddress(fd));
    const peer = parse(peerAddress(fd));
    const members = getOption(fd, SOL_NETLINK, NETLINK.LIST_MEMBERSHIPS, MEMBERSHIP_BYTES);
    const words = members
      ? Array.from({ length: members.length / 4 }, (_, i) => members.readUInt32LE(i * 4))
      : [groups];
    const nlsk: NetlinkSkEntry = {
      id: file.id,
      ino: Number(file.stat.ino & 0xffffffffn),
      protocol: file.socket.protocol,
      state: peer.portid || peer.groups ? CONNECTED : CLOSE,
      flags: file.info.flags,
      portid,
      groups: words,
      dstPortid: peer.portid,
      dstGroup: peer.groups,
      fown: ownerOf(file),
      opts: readOptions(file, dump),
      type: file.socket.type,
    };
    return { type: FdType.NETLINKSK, id: file.id, nlsk };
  },

  restores: ({ nlsk }) => nlsk !== undefined,

  open: (entry, opening) => () => open(entry.nlsk!, opening),
};

const SOCK_RAW = 3;

function open(saved: NetlinkSkEntry, opening: FileOpening): number {
  const builder = opening.ownerOf(saved.id);
  const fd = inNetworkOf(builder.process.pid, () =>
    makeSocket(AF.NETLINK, saved.type ?? SOCK_RAW, saved.protocol),
  );
  opening.giveTo(saved.id, fd);
  for (const { option, errno } of writeOptions(fd, saved.opts)) {
    builder.report({
      code: 'SocketOption',
      severity: 'loss',
      pid: builder.saved.pid,
      object: `netlink socket, option ${option}`,
      advice: `the kernel refuses it here (${errno})`,
    });
  }
  if (saved.portid !== 0) bindPort(fd, saved, opening);
  saved.groups.forEach((word, i) => {
    for (let bit = 0; bit < 32; bit++) {
      if ((word >>> bit) & 1) setOption(fd, SOL_NETLINK, NETLINK.ADD_MEMBERSHIP, i * 32 + bit + 1);
    }
  });
  if (saved.dstPortid || saved.dstGroup) {
    const to = addressBytes(saved.dstPortid, saved.dstGroup);
    check(tryAddress('connect', fd, to), 'connect', { object: `netlink port ${saved.dstPortid}` });
  }
  if (saved.flags & O.NONBLOCK) fcntl(fd, FCNTL.F_SETFL, O.RDWR | O.NONBLOCK);
  return fd;
}

/** A port that somebody else has here: the application gets another one, as it does where it never chose. */
function bindPort(fd: number, { id, portid }: NetlinkSkEntry, opening: FileOpening): void {
  const result = tryAddress('bind', fd, addressBytes(portid, 0));
  if (result === 0) return;
  check(tryAddress('bind', fd, addressBytes(0, 0)), 'bind', { object: 'a netlink socket' });
  const builder = opening.ownerOf(id);
  builder.report({
    code: 'NetlinkPort',
    severity: 'loss',
    pid: builder.saved.pid,
    object: `netlink port ${portid}`,
    advice: `it is taken here (${new LinuxError('bind', -result).errno}); the socket has another one`,
  });
}

// Packet sockets: what they are bound to, their memberships, fan-out groups and rings; packet(7).
import { FdType, VmaStatus } from '../../image/messages/enums.ts';
import type { PacketMclist, PacketRing, PacketSockEntry } from '../../image/messages/sockets.ts';
import { type Finding, refusal } from '../../finding.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { check, LinuxError } from '../../linux/error.ts';
import { O } from '../../linux/file-facts.ts';
import { interfaceName } from '../../linux/network-interfaces.ts';
import { inNetworkOf } from '../../linux/network-namespace.ts';
import { type PacketSocketFacts, packetSockets } from '../../linux/packet-diag.ts';
import { POLL, pollNow } from '../../linux/readiness.ts';
import {
  AF,
  intBytes,
  localAddress,
  makeSocket,
  tryAddress,
  trySetOption,
} from '../../linux/sockets.ts';
import { SYS } from '../../arch/x86-64.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening, FileTarget } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';
import { readOptions, writeOptions } from './socket-options.ts';
import { domainOf } from './unix-socket.ts';

const SOL_PACKET = 263;
const PACKET = {
  ADD_MEMBERSHIP: 1,
  RX_RING: 5,
  COPY_THRESH: 7,
  AUXDATA: 8,
  ORIGDEV: 9,
  VERSION: 10,
  RESERVE: 12,
  TX_RING: 13,
  LOSS: 14,
  VNET_HDR: 15,
  TIMESTAMP: 17,
  FANOUT: 18,
} as const;
const TPACKET_V3 = 2;
const ADDRESS_BYTES = 20;
const MAP_FIXED_NOREPLACE = 0x100000;

export const packetSocket: FileKind = {
  name: 'packet-socket',

  recognises: (file) => domainOf(file) === AF.PACKET,

  collect(file, dump) {
    const facts = factsOf(file, dump);
    if (!facts) {
      return file.refuse('Packet', 'load the module af_packet_diag, which tells of its state');
    }
    if (pollNow(file.duplicate, POLL.IN) & POLL.IN) {
      file.report(
        'loss',
        'PacketQueue',
        'packets that were received but not read are not restored',
      );
    }
    if (facts.rxRing ?? facts.txRing) {
      file.report('loss', 'PacketRing', 'its rings are restored empty, from the first frame on');
    }
    return { type: FdType.PACKETSK, id: file.id, psk: describe(file, facts, dump) };
  },

  restores: ({ psk }) => psk !== undefined,

  check: (entry, target) => checkInterfaces(entry.psk!, target),

  open: (entry, opening) => () => open(entry.psk!, opening),

  finish: (entry, opening) => mapRings(entry.id, opening),
};

function factsOf(file: OpenFile, dump: FileDump): PacketSocketFacts | undefined {
  const sockets = dump.once('packet-sockets', () => {
    try {
      return inNetworkOf(file.subject.process.pid, packetSockets);
    } catch (error) {
      if (error instanceof LinuxError && error.errno === 'ENOENT') return undefined;
      throw error;
    }
  });
  return sockets?.get(Number(file.stat.ino & 0xffffffffn));
}

function describe(file: OpenFile, facts: PacketSocketFacts, dump: FileDump): PacketSockEntry {
  const { index, memberships, rxRing, txRing, fanout, ...numbers } = facts;
  return {
    id: file.id,
    type: file.socket.type,
    // struct sockaddr_ll, in the byte order of the network
    protocol: localAddress(file.duplicate)?.readUInt16LE(2) ?? 0,
    flags: file.info.flags,
    ifindex: index,
    fown: ownerOf(file),
    opts: readOptions(file, dump),
    ...numbers,
    mclist: memberships.map(({ index: at, type, address }) => ({ index: at, type, addr: address })),
    ...(fanout !== undefined && { fanout }),
    ...(rxRing && { rxRing }),
    ...(txRing && { txRing }),
  };
}

/** Interfaces keep their numbers in pods: 1 is the loopback, what follows is the pod's own. */
function checkInterfaces({ id, ifindex, mclist }: PacketSockEntry, target: FileTarget): Finding[] {
  const wanted = new Set([ifindex, ...mclist.map(({ index }) => index)].filter((one) => one > 0));
  const missing = inNetworkOf(target.options.networkPid, () =>
    [...wanted].filter((one) => interfaceName(one) === undefined),
  );
  return missing.map((one) =>
    refusal(
      'InterfaceMissing',
      target.pidOf(id),
      `packet socket of interface ${one}`,
      'the target has no network interface of that number: restore onto a node with the same pod network',
    ),
  );
}

function open(saved: PacketSockEntry, opening: FileOpening): number {
  const { pid } = opening.ownerOf(saved.id).process;
  // Protocol 0 until everything is set: no packet may come in before.
  const fd = inNetworkOf(pid, () => makeSocket(AF.PACKET, saved.type, 0));
  opening.giveTo(saved.id, fd);
  reportLost(saved, opening, fd);
  setNumbers(fd, saved);
  for (const membership of saved.mclist) addMembership(fd, membership);
  if (saved.rxRing) makeRing(fd, PACKET.RX_RING, saved.version, saved.rxRing);
  if (saved.txRing) makeRing(fd, PACKET.TX_RING, saved.version, saved.txRing);
  if (saved.protocol !== 0 || saved.ifindex !== 0) bind(fd, saved);
  // The group takes bound sockets only.
  if (saved.fanout !== undefined) set(fd, PACKET.FANOUT, intBytes(saved.fanout));
  if (saved.flags & O.NONBLOCK) fcntl(fd, FCNTL.F_SETFL, O.RDWR | O.NONBLOCK);
  return fd;
}

function reportLost(saved: PacketSockEntry, opening: FileOpening, fd: number): void {
  const builder = opening.ownerOf(saved.id);
  for (const { option, errno } of writeOptions(fd, saved.opts)) {
    builder.report({
      code: 'SocketOption',
      severity: 'loss',
      pid: builder.saved.pid,
      object: `packet socket, option ${option}`,
      advice: `the kernel refuses it here (${errno})`,
    });
  }
}

function setNumbers(fd: number, saved: PacketSockEntry): void {
  const numbers: readonly [name: number, value: number | boolean][] = [
    [PACKET.VERSION, saved.version],
    [PACKET.RESERVE, saved.reserve],
    [PACKET.TIMESTAMP, saved.timestamp],
    [PACKET.COPY_THRESH, saved.copyThresh],
    [PACKET.AUXDATA, saved.auxData],
    [PACKET.ORIGDEV, saved.origDev],
    [PACKET.VNET_HDR, saved.vnetHdr],
    [PACKET.LOSS, saved.loss],
  ];
  // Every one of them is 0 in a new socket.
  for (const [name, value] of numbers) if (value) set(fd, name, intBytes(Number(value)));
}

/** struct packet_mreq with room for the longest address. */
function addMembership(fd: number, { index, type, addr }: PacketMclist): void {
  const request = Buffer.alloc(8 + Math.max(8, addr.length));
  request.writeInt32LE(index, 0);
  request.writeUInt16LE(type, 4);
  request.writeUInt16LE(addr.length, 6);
  request.set(addr, 8);
  set(fd, PACKET.ADD_MEMBERSHIP, request);
}

/** struct tpacket_req, or tpacket_req3 with three words more. */
function makeRing(fd: number, name: number, version: number, ring: PacketRing): void {
  const { blockSize, blockNr, frameSize, frameNr, retireTmo, sizeofPriv, features } = ring;
  const words = [blockSize, blockNr, frameSize, frameNr];
  if (version === TPACKET_V3) words.push(retireTmo, sizeofPriv, features);
  set(fd, name, Buffer.from(Uint32Array.from(words).buffer));
}

function bind(fd: number, { protocol, ifindex }: PacketSockEntry): void {
  const address = Buffer.alloc(ADDRESS_BYTES);
  address.writeUInt16LE(AF.PACKET, 0);
  address.writeUInt16LE(protocol, 2);
  address.writeInt32LE(ifindex, 4);
  check(tryAddress('bind', fd, address), 'bind', { object: `interface ${ifindex}` });
}

function set(fd: number, name: number, value: Uint8Array): void {
  const object = `option ${SOL_PACKET}/${name}`;
  check(trySetOption(fd, SOL_PACKET, name, value), 'setsockopt', { object });
}

/** Puts the rings back where processes had mapped them; they are empty. */
function mapRings(id: number, opening: FileOpening): void {
  for (const builder of opening.builders) {
    const rings = (builder.saved.mm?.vmas ?? []).filter(
      ({ status, shmid }) => (status & VmaStatus.SOCKET) !== 0 && Number(shmid) === id,
    );
    if (rings.length === 0) continue;
    const [number = -1] = opening.push(builder, [opening.engineFd(id)]);
    builder.makeRoom(rings.length + 1, 0);
    for (const { start, end, prot, flags, pgoff } of rings) {
      const fixed = flags | MAP_FIXED_NOREPLACE;
      builder.batch.must(SYS.mmap, start, end - start, prot, fixed, number, pgoff);
    }
    builder.batch.must(SYS.close, number);
    builder.flush();
  }
}

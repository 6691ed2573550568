// Sockets: members of files.img, sk-queues.img and tcp-stream-INO.img.
import {
  bool,
  bytes,
  enumeration,
  fixed64,
  i32,
  type Infer,
  message,
  optional,
  repeated,
  required,
  sint32,
  string,
  u32,
  u64,
} from '../codec.ts';
import { fownEntry } from './file-owner.ts';

/** Ours: setsockopt(2) of an integer. */
export const socketOptionEntry = message('diapause_socket_option_entry', {
  level: required(1, u32),
  name: required(2, u32),
  value: required(3, i32),
});
export type SocketOptionEntry = Infer<typeof socketOptionEntry>;

export const skOptsEntry = message('sk_opts_entry', {
  /** as getsockopt(2) tells it: twice what was set */
  soSndbuf: required(1, u32),
  soRcvbuf: required(2, u32),
  soSndTmoSec: required(3, u64),
  soSndTmoUsec: required(4, u64),
  soRcvTmoSec: required(5, u64),
  soRcvTmoUsec: required(6, u64),
  reuseaddr: optional(7, bool),
  soPriority: optional(8, u32),
  soRcvlowat: optional(9, u32),
  soMark: optional(10, u32),
  soPasscred: optional(11, bool),
  soPasssec: optional(12, bool),
  soDontroute: optional(13, bool),
  soNoCheck: optional(14, bool),
  soBoundDev: optional(15, string),
  /** struct sock_filter, 8 bytes each */
  soFilter: repeated(16, fixed64),
  soReuseport: optional(17, bool),
  soBroadcast: optional(18, bool),
  soKeepalive: optional(19, bool),
  tcpKeepcnt: optional(20, u32),
  tcpKeepidle: optional(21, u32),
  tcpKeepintvl: optional(22, u32),
  soOobinline: optional(23, u32),
  /** seconds; absent = off */
  soLinger: optional(24, u32),
  soBufLock: optional(25, u32),
  /** ours: further options that are not as in a new socket */
  extra: repeated(5000, socketOptionEntry),
});
export type SkOptsEntry = Infer<typeof skOptsEntry>;

export const filePermsEntry = message('file_perms_entry', {
  mode: required(1, u32),
  uid: required(2, u32),
  gid: required(3, u32),
});
export type FilePermsEntry = Infer<typeof filePermsEntry>;

export const unixSkEntry = message('unix_sk_entry', {
  id: required(1, u32),
  ino: required(2, u32),
  /** SOCK_* */
  type: required(3, u32),
  /** UnixState */
  state: required(4, u32),
  flags: required(5, u32),
  /** UnixFlag */
  uflags: required(6, u32),
  backlog: required(7, u32),
  /** `ino` of the peer, 0 = none */
  peer: required(8, u32),
  fown: required(9, fownEntry),
  opts: required(10, skOptsEntry),
  /** sun_path; a leading NUL stands for an abstract address */
  name: required(11, bytes),
  /** SkShutdown */
  shutdown: optional(12, enumeration),
  filePerms: optional(13, filePermsEntry),
  nameDir: optional(14, string),
  deleted: optional(15, bool),
  nsId: optional(16, u32),
  mntId: optional(17, sint32),
});
export type UnixSkEntry = Infer<typeof unixSkEntry>;

export const ipOptsRawEntry = message('ip_opts_raw_entry', {
  hdrincl: optional(1, bool),
  nodefrag: optional(2, bool),
  checksum: optional(3, bool),
  icmpvFilter: repeated(4, u32),
});
export type IpOptsRawEntry = Infer<typeof ipOptsRawEntry>;

export const ipOptsEntry = message('ip_opts_entry', {
  freebind: optional(1, bool),
  raw: optional(4, ipOptsRawEntry),
  pktinfo: optional(5, bool),
  tos: optional(6, u32),
  ttl: optional(7, u32),
});
export type IpOptsEntry = Infer<typeof ipOptsEntry>;

export const tcpOptsEntry = message('tcp_opts_entry', {
  cork: optional(1, bool),
  nodelay: optional(2, bool),
  keepcnt: optional(3, u32),
  keepidle: optional(4, u32),
  keepintvl: optional(5, u32),
});
export type TcpOptsEntry = Infer<typeof tcpOptsEntry>;

/** Ours: how far the application is in a connection that its running pod keeps. */
export const positionEntry = message('diapause_position_entry', {
  /** SO_COOKIE: no other socket has it until the machine starts anew */
  cookie: required(1, u64),
  /** bytes and the end of its stream, counted by the kernel */
  written: required(2, u64),
  read: required(3, u64),
});
export type PositionEntry = Infer<typeof positionEntry>;

export const inetSkEntry = message('inet_sk_entry', {
  id: required(1, u32),
  ino: required(2, u32),
  family: required(3, u32),
  type: required(4, u32),
  proto: required(5, u32),
  /** TCP_* */
  state: required(6, u32),
  srcPort: required(7, u32),
  dstPort: required(8, u32),
  flags: required(9, u32),
  backlog: required(10, u32),
  /** 1 or 4 words in network order */
  srcAddr: repeated(11, u32),
  dstAddr: repeated(12, u32),
  fown: required(13, fownEntry),
  opts: required(14, skOptsEntry),
  v6only: optional(15, bool),
  ipOpts: optional(16, ipOptsEntry),
  ifname: optional(17, string),
  nsId: optional(18, u32),
  shutdown: optional(19, enumeration),
  tcpOpts: optional(20, tcpOptsEntry),
  /** ours: TCP_CONGESTION */
  congestion: optional(5000, string),
  /** ours: a connection that only a rewind of the pod has, with its other side outside */
  position: optional(5001, positionEntry),
});
export type InetSkEntry = Infer<typeof inetSkEntry>;

/** Payload: the receive queue, then the send queue. */
export const tcpStreamEntry = message('tcp_stream_entry', {
  inqLen: required(1, u32),
  inqSeq: required(2, u32),
  outqLen: required(3, u32),
  outqSeq: required(4, u32),
  /** TCPI_OPT_* */
  optMask: required(5, u32),
  sndWscale: required(6, u32),
  mssClamp: required(7, u32),
  rcvWscale: optional(8, u32),
  timestamp: optional(9, u32),
  cork: optional(10, bool),
  nodelay: optional(11, bool),
  unsqLen: optional(12, u32),
  sndWl1: optional(13, u32),
  sndWnd: optional(14, u32),
  maxWindow: optional(15, u32),
  rcvWnd: optional(16, u32),
  rcvWup: optional(17, u32),
  /** ours: the lock that stays on the connection until it is restored */
  lock: optional(5000, string),
  /** ours: the other side is in the same dump, with numbers that fit; nothing is under way between the two */
  paired: optional(5001, bool),
});
export type TcpStreamEntry = Infer<typeof tcpStreamEntry>;

export const packetMclist = message('packet_mclist', {
  index: required(1, u32),
  type: required(2, u32),
  addr: required(3, bytes),
});
export type PacketMclist = Infer<typeof packetMclist>;

export const packetRing = message('packet_ring', {
  blockSize: required(1, u32),
  blockNr: required(2, u32),
  frameSize: required(3, u32),
  frameNr: required(4, u32),
  retireTmo: required(5, u32),
  sizeofPriv: required(6, u32),
  features: required(7, u32),
});
export type PacketRing = Infer<typeof packetRing>;

export const packetSockEntry = message('packet_sock_entry', {
  id: required(1, u32),
  type: required(2, u32),
  protocol: required(3, u32),
  flags: required(4, u32),
  ifindex: required(5, u32),
  fown: required(6, fownEntry),
  opts: required(7, skOptsEntry),
  version: required(8, u32),
  reserve: required(9, u32),
  auxData: required(10, bool),
  origDev: required(11, bool),
  vnetHdr: required(12, bool),
  loss: required(13, bool),
  timestamp: required(14, u32),
  copyThresh: required(15, u32),
  mclist: repeated(16, packetMclist),
  fanout: optional(17, u32),
  rxRing: optional(18, packetRing),
  txRing: optional(19, packetRing),
  nsId: optional(20, u32),
});
export type PacketSockEntry = Infer<typeof packetSockEntry>;

export const netlinkSkEntry = message('netlink_sk_entry', {
  id: required(1, u32),
  ino: required(2, u32),
  protocol: required(3, u32),
  state: required(4, u32),
  flags: required(6, u32),
  portid: required(7, u32),
  groups: repeated(8, u32),
  dstPortid: required(9, u32),
  dstGroup: required(10, u32),
  fown: required(11, fownEntry),
  opts: required(12, skOptsEntry),
  nsId: optional(13, u32),
  /** ours: SOCK_RAW or SOCK_DGRAM */
  type: optional(5000, u32),
});
export type NetlinkSkEntry = Infer<typeof netlinkSkEntry>;

export const scmEntry = message('scm_entry', {
  /** ScmType */
  type: required(1, u32),
  /** file ids */
  rights: repeated(2, u32),
});
export type ScmEntry = Infer<typeof scmEntry>;

/** One queued datagram or piece of a stream. Payload: its bytes. */
export const skPacketEntry = message('sk_packet_entry', {
  /** file id of the socket that will read it */
  idFor: required(1, u32),
  length: required(2, u32),
  scm: repeated(4, scmEntry),
  /** ours: address of the sender, without its family */
  from: optional(5000, bytes),
});
export type SkPacketEntry = Infer<typeof skPacketEntry>;

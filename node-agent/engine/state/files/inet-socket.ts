// What TCP and UDP sockets have in common: addresses, options, being made in the network namespace of their process.
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import { type Finding, refusal } from '../../finding.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import { inNetworkOf } from '../../linux/network-namespace.ts';
import {
  AF,
  intBytes,
  LEVEL,
  localAddress,
  makeSocket,
  peerAddress,
  SO,
  tryAddress,
  trySetOption,
} from '../../linux/sockets.ts';
import type { FileDump } from './file-dump.ts';
import type { FileOpening, FileTarget } from './file-opening.ts';
import { addressBytes, addressText, type InetAddress, parseAddress } from './inet-address.ts';
import { readIpOptions, readV6Only, writeIpOptions } from './inet-options.ts';
import type { OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';
import { isAddressHere, withAddressHere } from './pod-address.ts';
import { readOptions, writeOptions } from './socket-options.ts';
import { connectionOf, connectionText } from './tcp-pairs.ts';

export interface InetIdentity {
  readonly family: number;
  readonly type: number;
  readonly proto: number;
  /** TCP_* number */
  readonly state: number;
  readonly backlog: number;
}

/** The message of a socket of the application, from the engine's duplicate. */
export function describeInet(file: OpenFile, dump: FileDump, identity: InetIdentity): InetSkEntry {
  const { family } = identity;
  const fd = file.duplicate;
  const none: InetAddress = { port: 0, words: family === AF.INET6 ? [0, 0, 0, 0] : [0], scope: 0 };
  const local = parseAddress(localAddress(fd)) ?? none;
  const peer = parseAddress(peerAddress(fd)) ?? none;
  if (local.scope !== 0 || peer.scope !== 0) {
    file.report(
      'loss',
      'LinkLocalScope',
      'its link-local address is restored without an interface',
    );
  }
  return {
    id: file.id,
    ino: Number(file.stat.ino & 0xffffffffn),
    ...identity,
    srcPort: local.port,
    dstPort: peer.port,
    flags: file.info.flags,
    srcAddr: local.words,
    dstAddr: peer.words,
    fown: ownerOf(file),
    opts: readOptions(file, dump),
    ...(family === AF.INET6 && { v6only: readV6Only(fd) }),
    ipOpts: readIpOptions(fd, family),
  };
}

export const sourceOf = ({ srcPort, srcAddr }: InetSkEntry): InetAddress => ({
  port: srcPort,
  words: srcAddr,
  scope: 0,
});
export const destinationOf = ({ dstPort, dstAddr }: InetSkEntry): InetAddress => ({
  port: dstPort,
  words: dstAddr,
  scope: 0,
});

/**
 * A new socket with all options that come before bind(2), made by the engine where its process lives: ports and marks
 * that the process may no longer ask for are its own again.
 */
export function makeInetSocket(entry: InetSkEntry, opening: FileOpening): number {
  const builder = opening.ownerOf(entry.id);
  const fd = inNetworkOf(builder.process.pid, () =>
    makeSocket(entry.family, entry.type, entry.proto),
  );
  opening.giveTo(entry.id, fd);
  setOptions(fd, entry, opening);
  if (entry.flags & O.NONBLOCK) fcntl(fd, FCNTL.F_SETFL, O.RDWR | O.NONBLOCK);
  return fd;
}

/** All but those of TCP; what the kernel refuses is told. */
export function setOptions(fd: number, entry: InetSkEntry, opening: FileOpening): void {
  const builder = opening.ownerOf(entry.id);
  writeIpOptions(fd, entry);
  for (const { option, errno } of writeOptions(fd, entry.opts)) {
    builder.report({
      code: 'SocketOption',
      severity: 'loss',
      pid: builder.saved.pid,
      object: `socket of ${addressText(entry.srcAddr)}:${entry.srcPort}, option ${option}`,
      advice: `the kernel refuses it here (${errno})`,
    });
  }
}

/**
 * Binds although connections of an earlier life may linger on the port (SO_REUSEADDR for the moment).
 *
 * @param then what else must happen before the option is what it was: listen(2) looks at it again
 * @returns 0 or -errno of bind
 */
export function bindAgain(fd: number, entry: InetSkEntry, then: () => void): number {
  trySetOption(fd, LEVEL.SOCKET, SO.REUSEADDR, intBytes(1));
  const result = tryAddress('bind', fd, addressBytes(entry.family, sourceOf(entry)));
  if (result === 0) then();
  trySetOption(fd, LEVEL.SOCKET, SO.REUSEADDR, intBytes(Number(entry.opts.reuseaddr ?? false)));
  return result;
}

/** Is the address it is bound to there, or one that takes its place? */
export function checkAddress(entry: InetSkEntry, target: FileTarget): Finding[] {
  const { srcAddr, srcPort, ipOpts } = entry;
  if (srcPort === 0 || ipOpts?.freebind === true) return [];
  if (isAddressHere(entry, target.options.networkPid)) return [];
  const text = addressText(srcAddr);
  if (target.saved.stream(entry.ino)) {
    // A connection is between two addresses; a socket that waits is not.
    const object = `connection ${connectionText(connectionOf(entry))}`;
    const advice = `${text} is not an address of the target, and a connection cannot move to another one: restore to where the address is, or save with sockets.established: Close`;
    return [refusal('AddressMissing', target.pidOf(entry.id), object, advice)];
  }
  const object = `socket bound to ${text}:${srcPort}`;
  const here = withAddressHere(entry, target.options);
  if (here !== entry) {
    const advice = `it is bound to ${addressText(here.srcAddr)}, the address of the new pod`;
    return [
      { code: 'AddressMoved', severity: 'note', pid: target.pidOf(entry.id), object, advice },
    ];
  }
  const advice = `${text} is not an address of the target: let the application bind to 0.0.0.0 or ::, or give the target that address`;
  return [refusal('AddressMissing', target.pidOf(entry.id), object, advice)];
}

// A socket bound to the address of the old pod is bound to that of the new one.
import { networkInterfaces } from 'node:os';
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { inNetworkOf } from '../../linux/network-namespace.ts';
import { makeSocket, SOCK, tryAddress } from '../../linux/sockets.ts';
import type { FileTargetOptions } from './file-opening.ts';
import { addressBytes, isAnyAddress, isMapped, parseText } from './inet-address.ts';

/** One address of a network namespace. */
export interface NetworkAddress {
  readonly text: string;
  readonly loopback: boolean;
}

const LINK_LOCAL = /^fe[89ab]/i;
const MAPPED_PREFIX = [0, 0, 0xffff0000];

/** Can a socket be bound to the address here? Asked with a datagram socket that is closed again. */
export function isAddressHere({ family, srcAddr }: InetSkEntry, networkPid: number): boolean {
  if (isAnyAddress(srcAddr)) return true;
  return inNetworkOf(networkPid, () => {
    const fd = makeSocket(family, SOCK.DGRAM, 0);
    const at = addressBytes(family, { port: 0, words: srcAddr, scope: 0 });
    const bound = tryAddress('bind', fd, at);
    closeFd(fd);
    return bound === 0;
  });
}

/**
 * What takes the place of an address that is not here: the only other one of its family. Pods have one of each.
 *
 * @returns undefined when there is none, or more than one to choose from
 */
export function replacementFor(
  words: readonly number[],
  addresses: readonly NetworkAddress[],
): readonly number[] | undefined {
  const mapped = isMapped(words);
  const wanted = mapped ? 1 : words.length;
  const candidates = addresses
    .filter(({ text, loopback }) => !loopback && !LINK_LOCAL.test(text))
    .flatMap(({ text }) => {
      const found = parseText(text);
      return found?.length === wanted ? [found] : [];
    });
  const [only, ...others] = candidates;
  if (!only || others.length > 0) return undefined;
  return mapped ? [...MAPPED_PREFIX, ...only] : only;
}

function addressesOf(networkPid: number): NetworkAddress[] {
  const interfaces = inNetworkOf(networkPid, () => networkInterfaces());
  return Object.values(interfaces).flatMap((list) =>
    (list ?? []).map(({ address, internal }) => ({ text: address, loopback: internal })),
  );
}

/** The message with the address that the socket is to have here; of a missing one without replacement as it was saved. */
export function withAddressHere(entry: InetSkEntry, options: FileTargetOptions): InetSkEntry {
  const { addresses, networkPid } = options;
  if (addresses === 'exact' || entry.srcPort === 0 || isAddressHere(entry, networkPid))
    return entry;
  const words = replacementFor(entry.srcAddr, addressesOf(networkPid));
  return words ? { ...entry, srcAddr: [...words] } : entry;
}

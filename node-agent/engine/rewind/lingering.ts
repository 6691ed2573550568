// Ends of connections that the running program has closed linger on their port for a minute. A listener that does not say
// SO_REUSEADDR cannot have the port meanwhile.
import { type Finding, refusal } from '../finding.ts';
import type { InetSkEntry } from '../image/messages/sockets.ts';
import type { Connection } from '../linux/connection-lock.ts';
import type { TcpRow } from '../linux/procfs/tcp-table.ts';
import { connectionOf, connectionText } from '../state/files/tcp-pairs.ts';
import { TCP_STATE } from '../state/files/tcp-state.ts';

const IPPROTO_TCP = 6;

/** Ports on which a connection lingers. */
export function lingeringPorts(rows: readonly TcpRow[]): Set<number> {
  const lingering = rows.filter(({ state }) => state === TCP_STATE.TIME_WAIT);
  return new Set(lingering.map(({ local }) => local.port));
}

/** @param sockets of the saved tree */
export function judgePorts(
  sockets: readonly InetSkEntry[],
  lingering: ReadonlySet<number>,
): Finding[] {
  return sockets
    .filter(({ proto, state, opts }) => {
      const listens = proto === IPPROTO_TCP && state === TCP_STATE.LISTEN;
      return listens && opts.reuseaddr !== true;
    })
    .filter(({ srcPort }) => lingering.has(srcPort))
    .map(({ srcPort }) =>
      refusal(
        'PortLingers',
        0,
        `listener on port ${srcPort}`,
        'a connection that was closed lingers on its port: wait a minute, or let the program set SO_REUSEADDR',
      ),
    );
}

/**
 * A connection is made again between the very addresses that it had.
 *
 * @param connections that are to be made again
 * @param ends        inodes of sockets that end with the running processes
 */
export function judgePairs(
  connections: readonly Connection[],
  rows: readonly TcpRow[],
  ends: ReadonlySet<bigint>,
): Finding[] {
  const taken = new Set(
    rows
      .filter(({ ino }) => !ends.has(ino))
      .map(({ local, remote }) => {
        const addresses = { srcAddr: [...local.words], dstAddr: [...remote.words] };
        const ports = { srcPort: local.port, dstPort: remote.port };
        return connectionText(connectionOf({ ...addresses, ...ports }));
      }),
  );
  const advice =
    'another one between the same addresses is open elsewhere, or was closed and lingers: end it, or wait a minute';
  return connections
    .map((connection) => connectionText(connection))
    .filter((text) => taken.has(text))
    .map((text) => refusal('ConnectionLingers', 0, `connection ${text}`, advice));
}

// Ends of connections that the running program has closed linger on their port for a minute. A listener that does not say
// SO_REUSEADDR cannot have the port meanwhile.
import { type Finding, refusal } from '../finding.ts';
import type { InetSkEntry } from '../image/messages/sockets.ts';
import { tryReadProc } from '../linux/procfs/read.ts';
import { TCP_STATE } from '../state/files/tcp-state.ts';

const IPPROTO_TCP = 6;
const TIME_WAIT = '06';
const FIELD = { local: 1, state: 3 } as const;

/** Ports of a table of /proc/PID/net on which a connection lingers. */
export function lingeringPorts(table: string): Set<number> {
  return new Set(
    table
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[FIELD.state] === TIME_WAIT)
      .map((fields) => Number.parseInt(fields[FIELD.local]?.split(':')[1] ?? '', 16)),
  );
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

/** In the network namespace of a process. */
export function portsInUse(pid: number): Set<number> {
  const tables = ['tcp', 'tcp6'].map((name) => tryReadProc(`/proc/${pid}/net/${name}`) ?? '');
  return new Set(tables.flatMap((table) => [...lingeringPorts(table)]));
}

// /proc/PID/net/tcp and tcp6: the addresses of sockets that getpeername(2) does not tell yet; proc_pid_net(5).
import { tryReadProc } from './read.ts';

/** As images have addresses: words in network order, read as the machine reads them. */
export interface TcpRemote {
  readonly port: number;
  readonly words: readonly number[];
}

/** One line of a table; `remote` is all zero for a listener. */
export interface TcpRow {
  readonly local: TcpRemote;
  readonly remote: TcpRemote;
  /** TCP_* number */
  readonly state: number;
  /** 0 of a connection that no process has open */
  readonly ino: bigint;
}

const FIELD = { local: 1, remote: 2, state: 3, inode: 9 } as const;
const HEX_DIGITS_A_WORD = 8;
const TABLES = ['tcp', 'tcp6'] as const;

/** The other side of a socket in the network namespace of a process. */
export function tcpRemote(pid: number, ino: bigint): TcpRemote | undefined {
  for (const table of TABLES) {
    const found = findRemote(tryReadProc(`/proc/${pid}/net/${table}`) ?? '', ino);
    if (found) return found;
  }
  return undefined;
}

export const findRemote = (table: string, ino: bigint): TcpRemote | undefined =>
  parseTcpTable(table).find((row) => row.ino === ino)?.remote;

/** Every TCP socket of the network namespace of a process. */
export const tcpRows = (pid: number): TcpRow[] =>
  TABLES.flatMap((table) => parseTcpTable(tryReadProc(`/proc/${pid}/net/${table}`) ?? ''));

export function parseTcpTable(table: string): TcpRow[] {
  return table.split('\n').flatMap((text) => {
    const fields = text.trim().split(/\s+/);
    const local = parseAddress(fields[FIELD.local]);
    const remote = parseAddress(fields[FIELD.remote]);
    if (!local || !remote) return [];
    const state = Number.parseInt(fields[FIELD.state] ?? '', 16);
    return [{ local, remote, state, ino: BigInt(fields[FIELD.inode] ?? 0) }];
  });
}

function parseAddress(text = ''): TcpRemote | undefined {
  const [, address, port] = /^((?:[0-9A-F]{8})+):([0-9A-F]{4})$/.exec(text) ?? [];
  if (address === undefined || port === undefined) return undefined;
  const words = Array.from({ length: address.length / HEX_DIGITS_A_WORD }, (_, i) =>
    Number.parseInt(address.slice(i * HEX_DIGITS_A_WORD, (i + 1) * HEX_DIGITS_A_WORD), 16),
  );
  return { port: Number.parseInt(port, 16), words };
}

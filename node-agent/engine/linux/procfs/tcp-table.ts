// /proc/PID/net/tcp and tcp6: the addresses of sockets that getpeername(2) does not tell yet; proc_pid_net(5).
import { tryReadProc } from './read.ts';

/** As images have addresses: words in network order, read as the machine reads them. */
export interface TcpRemote {
  readonly port: number;
  readonly words: readonly number[];
}

const FIELD = { remote: 2, inode: 9 } as const;
const HEX_DIGITS_A_WORD = 8;

/** The other side of a socket in the network namespace of a process. */
export function tcpRemote(pid: number, ino: bigint): TcpRemote | undefined {
  for (const table of ['tcp', 'tcp6']) {
    const found = findRemote(tryReadProc(`/proc/${pid}/net/${table}`) ?? '', ino);
    if (found) return found;
  }
  return undefined;
}

export function findRemote(table: string, ino: bigint): TcpRemote | undefined {
  const line = table
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find((fields) => fields[FIELD.inode] === String(ino));
  const [address = '', port = ''] = line?.[FIELD.remote]?.split(':') ?? [];
  if (address === '' || port === '') return undefined;
  const words = Array.from({ length: address.length / HEX_DIGITS_A_WORD }, (_, i) =>
    Number.parseInt(address.slice(i * HEX_DIGITS_A_WORD, (i + 1) * HEX_DIGITS_A_WORD), 16),
  );
  return { port: Number.parseInt(port, 16), words };
}

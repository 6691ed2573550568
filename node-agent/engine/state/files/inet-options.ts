// Options of TCP and UDP sockets beyond the general ones; ip(7), ipv6(7), tcp(7).
import type { InetSkEntry, IpOptsEntry, TcpOptsEntry } from '../../image/messages/sockets.ts';
import { AF, getOption, intBytes, intOption, LEVEL, trySetOption } from '../../linux/sockets.ts';

const IP = { TOS: 1, TTL: 2, PKTINFO: 8, FREEBIND: 15 } as const;
const IPV6 = { V6ONLY: 26, RECVPKTINFO: 49, FREEBIND: 78 } as const;
const TCP = {
  NODELAY: 1,
  CORK: 3,
  KEEPIDLE: 4,
  KEEPINTVL: 5,
  KEEPCNT: 6,
  CONGESTION: 13,
} as const;
const NAME_BYTES = 16;

export function readIpOptions(fd: number, family: number): IpOptsEntry {
  if (family === AF.INET6) {
    const flag = (name: number): boolean => intOption(fd, LEVEL.IPV6, name) !== 0;
    return { freebind: flag(IPV6.FREEBIND), pktinfo: flag(IPV6.RECVPKTINFO) };
  }
  const int = (name: number): number => intOption(fd, LEVEL.IP, name);
  return {
    freebind: int(IP.FREEBIND) !== 0,
    pktinfo: int(IP.PKTINFO) !== 0,
    tos: int(IP.TOS),
    ttl: int(IP.TTL),
  };
}

export const readV6Only = (fd: number): boolean => intOption(fd, LEVEL.IPV6, IPV6.V6ONLY) !== 0;

/** What must be set before the socket is bound. */
export function writeIpOptions(fd: number, { family, v6only, ipOpts }: InetSkEntry): void {
  const v6 = family === AF.INET6;
  const set = (level: number, name: number, value: number | boolean | undefined): void => {
    // What is as it is in a new socket stays unset: a time to live that was set is fixed, a default follows the sysctl.
    if (value === undefined || Number(value) === intOption(fd, level, name)) return;
    trySetOption(fd, level, name, intBytes(Number(value)));
  };
  if (v6) set(LEVEL.IPV6, IPV6.V6ONLY, v6only);
  if (!ipOpts) return;
  if (v6) {
    set(LEVEL.IPV6, IPV6.FREEBIND, ipOpts.freebind);
    set(LEVEL.IPV6, IPV6.RECVPKTINFO, ipOpts.pktinfo);
    return;
  }
  set(LEVEL.IP, IP.FREEBIND, ipOpts.freebind);
  set(LEVEL.IP, IP.PKTINFO, ipOpts.pktinfo);
  set(LEVEL.IP, IP.TOS, ipOpts.tos);
  set(LEVEL.IP, IP.TTL, ipOpts.ttl);
}

export function readTcpOptions(fd: number): { tcpOpts: TcpOptsEntry; congestion: string } {
  const int = (name: number): number => intOption(fd, LEVEL.TCP, name);
  const congestion = getOption(fd, LEVEL.TCP, TCP.CONGESTION, NAME_BYTES)?.toString('latin1') ?? '';
  return {
    tcpOpts: {
      cork: int(TCP.CORK) !== 0,
      nodelay: int(TCP.NODELAY) !== 0,
      keepcnt: int(TCP.KEEPCNT),
      keepidle: int(TCP.KEEPIDLE),
      keepintvl: int(TCP.KEEPINTVL),
    },
    congestion: congestion.replace(/\0.*$/s, ''),
  };
}

export function writeTcpOptions(fd: number, { tcpOpts, congestion, opts }: InetSkEntry): void {
  const set = (name: number, value: number | undefined): void => {
    if (value === undefined || value === intOption(fd, LEVEL.TCP, name)) return;
    trySetOption(fd, LEVEL.TCP, name, intBytes(value));
  };
  set(TCP.KEEPCNT, tcpOpts?.keepcnt ?? opts.tcpKeepcnt);
  set(TCP.KEEPIDLE, tcpOpts?.keepidle ?? opts.tcpKeepidle);
  set(TCP.KEEPINTVL, tcpOpts?.keepintvl ?? opts.tcpKeepintvl);
  set(TCP.NODELAY, Number(tcpOpts?.nodelay ?? false));
  set(TCP.CORK, Number(tcpOpts?.cork ?? false));
  if (congestion) {
    trySetOption(fd, LEVEL.TCP, TCP.CONGESTION, Buffer.from(congestion, 'latin1'));
  }
}

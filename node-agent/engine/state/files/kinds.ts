// The kinds of open files, in order: the first that recognises a file has it. The only register.
import { bpfMap } from './bpf-map.ts';
import { epoll } from './epoll.ts';
import { eventfd } from './eventfd.ts';
import { fanotify } from './fanotify.ts';
import { fifo } from './fifo.ts';
import type { FileKind } from './file-kind.ts';
import { inotify } from './inotify.ts';
import { memfd } from './memfd.ts';
import { namespaceFile } from './namespace-file.ts';
import { netlink } from './netlink.ts';
import { packetSocket } from './packet-socket.ts';
import { pidfd } from './pidfd.ts';
import { pipe } from './pipe.ts';
import { rawSocket } from './raw-socket.ts';
import { regular } from './regular.ts';
import { signalfd } from './signalfd.ts';
import { tcp } from './tcp.ts';
import { timerfd } from './timerfd.ts';
import { tty } from './tty.ts';
import { udp } from './udp.ts';
import { unixSocket } from './unix-socket.ts';

/** In `finish`, epoll comes before timers: a timer that fires at once finds its watcher. */
export const FILE_KINDS: readonly FileKind[] = [
  fifo,
  memfd,
  tty,
  regular,
  pipe,
  eventfd,
  signalfd,
  pidfd,
  unixSocket,
  tcp,
  udp,
  rawSocket,
  packetSocket,
  bpfMap,
  namespaceFile,
  netlink,
  inotify,
  fanotify,
  epoll,
  timerfd,
];

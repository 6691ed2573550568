// The kinds of open files, in order: the first that recognises a file has it. The only register.
import { epoll } from './epoll.ts';
import { eventfd } from './eventfd.ts';
import { fifo } from './fifo.ts';
import type { FileKind } from './file-kind.ts';
import { pipe } from './pipe.ts';
import { regular } from './regular.ts';
import { signalfd } from './signalfd.ts';
import { timerfd } from './timerfd.ts';

/** In `finish`, epoll comes before timers: a timer that fires at once finds its watcher. */
export const FILE_KINDS: readonly FileKind[] = [
  fifo,
  regular,
  pipe,
  eventfd,
  signalfd,
  epoll,
  timerfd,
];

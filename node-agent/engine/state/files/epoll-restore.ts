// Adding watches to an epoll set again: under the numbers they had, in a process that has the set.
import { SYS } from '../../arch/x86-64.ts';
import type { EventpollFileEntry, EventpollTfdEntry } from '../../image/messages/events.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { RemoteWord } from '../../tracee/remote-word.ts';
import type { FileOpening } from './file-opening.ts';

const EPOLL_CTL_ADD = 1;
const EVENT_BYTES = 12;

/**
 * The kernel knows a watch by its open file and the number it was added with, so the target must stand at that number
 * for the moment of the call. The process of the application does it, never the engine: a signalfd is watched for the
 * signals of whoever adds it.
 */
export function watchAgain(set: EventpollFileEntry, opening: FileOpening): void {
  const [holder] = opening.wantedOf(set.id);
  if (holder) {
    for (const watch of set.tfd) addWatch(holder.builder, holder.fd, watch, opening);
    return;
  }
  // A set that only travels in a queue: the root process holds it for the moment.
  const { root } = opening;
  const [number] = opening.push(root, [opening.engineFd(set.id)]) as [number];
  for (const watch of set.tfd) addWatch(root, number, watch, opening);
  root.makeRoom(1, 0);
  root.batch.must(SYS.close, number);
}

function addWatch(
  builder: ProcessBuilder,
  epoll: number,
  watch: EventpollTfdEntry,
  opening: FileOpening,
): void {
  const number = watch.addedAs ?? watch.tfd;
  const targetId = watch.targetId ?? idAt(builder, watch.tfd);
  if (targetId === undefined) {
    throw new Error(`process ${builder.saved.pid} watches descriptor ${watch.tfd} that it has not`);
  }
  const add = (fd: RemoteWord): void => {
    builder.makeRoom(1, EVENT_BYTES + 16);
    const { batch } = builder;
    batch.must(SYS.epoll_ctl, epoll, EPOLL_CTL_ADD, fd, batch.bytes(eventBytes(watch)));
  };
  if (idAt(builder, number) === targetId) add(number);
  else opening.withNumber(builder, targetId, number, () => add(number));
}

const idAt = (builder: ProcessBuilder, fd: number): number | undefined =>
  builder.saved.fdinfo.find((entry) => entry.fd === fd)?.id;

/** struct epoll_event is packed on x86-64. */
function eventBytes({ events, data }: EventpollTfdEntry): Buffer {
  const bytes = Buffer.alloc(EVENT_BYTES);
  bytes.writeUInt32LE(events, 0);
  bytes.writeBigUInt64LE(data, 4);
  return bytes;
}

// eventfd(2): a counter, and whether it is a semaphore.
import { FdType } from '../../image/messages/enums.ts';
import { O } from '../../linux/file-facts.ts';
import { makeEventFd } from '../../linux/event-descriptors.ts';
import type { FileKind } from './file-kind.ts';
import { fdInfoValue } from './fdinfo.ts';
import { ownerOf } from './owner.ts';

export const eventfd: FileKind = {
  name: 'eventfd',

  recognises: (file) => file.link === 'anon_inode:[eventfd]',

  collect(file) {
    const count = fdInfoValue(file.info, 'eventfd-count');
    if (count === undefined) {
      return file.refuse('EventfdUnreadable', 'the kernel does not tell its counter');
    }
    // Told since Linux 6.5; CRIU's message has no place for it, so its restore makes a plain one.
    const semaphore = fdInfoValue(file.info, 'eventfd-semaphore');
    if (semaphore === undefined) {
      file.report('note', 'EventfdSemaphoreUnknown', 'Linux 6.5 tells semaphores from counters');
    }
    return {
      type: FdType.EVENTFD,
      id: file.id,
      efd: {
        id: file.id,
        flags: file.info.flags,
        fown: ownerOf(file),
        counter: BigInt(`0x${count}`),
        ...(semaphore === '1' && { semaphore: true }),
      },
    };
  },

  restores: (entry) => entry.efd !== undefined,

  open(entry) {
    const { counter, flags, semaphore } = entry.efd!;
    return () => makeEventFd(counter, flags & O.NONBLOCK, semaphore === true);
  },
};

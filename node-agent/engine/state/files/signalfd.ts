// signalfd(2): the set of signals; what it can read lies in the pending queues of whoever reads.
import { FdType } from '../../image/messages/enums.ts';
import { makeSignalFd } from '../../linux/event-descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import { fdInfoValue } from './fdinfo.ts';
import type { FileKind } from './file-kind.ts';
import { ownerOf } from './owner.ts';

export const signalfd: FileKind = {
  name: 'signalfd',

  recognises: (file) => file.link === 'anon_inode:[signalfd]',

  collect(file) {
    const mask = fdInfoValue(file.info, 'sigmask');
    if (mask === undefined) {
      return file.refuse('SignalfdUnreadable', 'the kernel does not tell its signals');
    }
    const { id } = file;
    const sgfd = { id, flags: file.info.flags, fown: ownerOf(file), sigmask: BigInt(`0x${mask}`) };
    return { type: FdType.SIGNALFD, id, sgfd };
  },

  restores: (entry) => entry.sgfd !== undefined,

  open(entry) {
    const { sigmask, flags } = entry.sgfd!;
    return () => makeSignalFd(sigmask, flags & O.NONBLOCK);
  },
};

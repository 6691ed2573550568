// The name of a thread, as `ps` and /proc/PID/comm show it.
import { SYS } from '../arch/x86-64.ts';
import { decodeText, encodeText } from '../image/text.ts';
import type { ThreadKind } from './state-kind.ts';

const PR_SET_NAME = 15;
const PR_GET_NAME = 16;
const NAME_BYTES = 16;

export const threadName: ThreadKind = {
  name: 'thread-name',
  scope: 'thread',
  // Last: until then the placeholder's name tells the startup probe that the restore is not done.
  stage: 'final',

  collect(_subject, remote) {
    const name = remote.space(NAME_BYTES);
    remote.must(SYS.prctl, PR_GET_NAME, name);
    return ({ threadCore }) => {
      threadCore.comm = decodeText(name.bytes.subarray(0, name.bytes.indexOf(0)));
    };
  },

  restore(core, { batch }) {
    const name = encodeText(core.threadCore?.comm ?? core.tc?.comm ?? '');
    batch.must(SYS.prctl, PR_SET_NAME, batch.bytes(Buffer.concat([name, Buffer.alloc(1)])));
  },
};

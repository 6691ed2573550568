// The stack for signal handlers, sigaltstack(2).
import { SYS } from '../arch/x86-64.ts';
import type { ThreadKind } from './state-kind.ts';

const SS_ONSTACK = 1;
const SS_DISABLE = 2;
const STACK_T_BYTES = 24;

export const alternateStack: ThreadKind = {
  name: 'alternate-stack',
  scope: 'thread',
  stage: 'threads',

  collect(_subject, remote) {
    const stack = remote.space(STACK_T_BYTES);
    remote.must(SYS.sigaltstack, 0, stack);
    return ({ threadCore }) => {
      threadCore.sas = {
        ssSp: stack.word(0),
        ssSize: stack.word(2),
        ssFlags: stack.bytes.readUInt32LE(8),
      };
    };
  },

  restore(core, { batch }) {
    const saved = core.threadCore?.sas;
    if (!saved || saved.ssFlags & SS_DISABLE) return;
    const stack = Buffer.alloc(STACK_T_BYTES);
    stack.writeBigUInt64LE(saved.ssSp, 0);
    // SS_ONSTACK is no setting but follows from where the thread's stack pointer is.
    stack.writeUInt32LE(saved.ssFlags & ~SS_ONSTACK, 8);
    stack.writeBigUInt64LE(saved.ssSize, 16);
    batch.must(SYS.sigaltstack, batch.bytes(stack), 0);
  },
};

// General registers, and with them how the system call goes on in which the thread was stopped.
import { REG, REGISTER_WORDS, type Registers, unsigned } from '../arch/x86-64.ts';
import type { CoreEntry } from '../image/messages/core.ts';
import { resumableElsewhere } from '../tracee/restart.ts';
import type { ThreadKind } from './state-kind.ts';

/** CRIU's names of the registers (core-x86.proto) and their place in the kernel's structure. */
const NAMES = [
  ['r15', REG.r15],
  ['r14', REG.r14],
  ['r13', REG.r13],
  ['r12', REG.r12],
  ['bp', REG.rbp],
  ['bx', REG.rbx],
  ['r11', REG.r11],
  ['r10', REG.r10],
  ['r9', REG.r9],
  ['r8', REG.r8],
  ['ax', REG.rax],
  ['cx', REG.rcx],
  ['dx', REG.rdx],
  ['si', REG.rsi],
  ['di', REG.rdi],
  ['origAx', REG.origRax],
  ['ip', REG.rip],
  ['cs', REG.cs],
  ['flags', REG.rflags],
  ['sp', REG.rsp],
  ['ss', REG.ss],
  ['fsBase', REG.fsBase],
  ['gsBase', REG.gsBase],
  ['ds', REG.ds],
  ['es', REG.es],
  ['fs', REG.fs],
  ['gs', REG.gs],
] as const;

/**
 * The image holds two versions: CRIU's, in which every interrupted call is already made to run again (and a sleep to
 * end with EINTR), and in a field of ours the registers as the kernel had them, from which our restore rebuilds the very
 * same restart state.
 */
export const generalRegisters: ThreadKind = {
  name: 'general-registers',
  scope: 'thread',
  stage: 'final',

  collect({ thread }) {
    const raw = thread.namedRegisters;
    return ({ threadInfo, threadCore }) => {
      const elsewhere = resumableElsewhere(raw);
      threadInfo.gpregs = Object.fromEntries(
        NAMES.map(([name, place]) => [name, elsewhere[place]!]),
      );
      threadCore.rawRegisters = Buffer.from(raw.slice().buffer);
    };
  },

  restore(core, { thread }) {
    thread.registers = savedRegisters(core);
  },
};

/** Registers with which a restored thread is let go: as the kernel had them if we saved it, else CRIU's version. */
export function savedRegisters(core: CoreEntry): Registers {
  const raw = core.threadCore?.rawRegisters;
  if (raw && raw.length === REGISTER_WORDS * 8) {
    const words = new BigUint64Array(REGISTER_WORDS);
    new Uint8Array(words.buffer).set(raw);
    return words;
  }
  const { gpregs } = core.threadInfo ?? {};
  if (!gpregs) throw new Error('a core image without registers');
  const registers = new BigUint64Array(REGISTER_WORDS);
  for (const [name, place] of NAMES) registers[place] = gpregs[name];
  // The fix-up is done: the kernel must not judge these registers once more.
  registers[REG.origRax] = unsigned(-1);
  return registers;
}

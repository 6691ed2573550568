// Memory protection keys, pkeys(7): which are taken, and which area has which. The rights of a thread are in its XSAVE area.
import { SYS } from '../arch/x86-64.ts';
import { syscall } from '../linux/ffi.ts';
import { PROT } from '../memory/area.ts';
import { sizeOf } from '../memory/address-space.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import type { ProcessKind } from './state-kind.ts';

/** 0 is everybody's */
const KEYS = Array.from({ length: 15 }, (_, i) => i + 1);
const ENOMEM = -12n;
const PAGE_BYTES = 4096;
/** the kernel's half, where no program has a mapping */
const NOWHERE = 0xffff_8000_0000_0000n;

/** Takes one and gives it back: without the CPU's or the kernel's help there is none, and nobody has any. */
function keysExist(): boolean {
  const key = syscall(SYS.pkey_alloc, 0, 0);
  return key >= 0 && syscall(SYS.pkey_free, key) === 0;
}
const possibleKeys = keysExist() ? KEYS : [];

export const protectionKeys: ProcessKind = {
  name: 'protection-keys',
  scope: 'process',
  stage: 'resources',

  collect(_subject, remote) {
    // The kernel looks at the key first (EINVAL), and then finds no mapping.
    const answers = possibleKeys.map((key) => ({
      key,
      answer: remote.call(SYS.pkey_mprotect, NOWHERE, PAGE_BYTES, PROT.READ, key),
    }));
    return ({ mm }) => {
      const taken = answers.filter(({ answer }) => answer.value === ENOMEM);
      if (taken.length > 0)
        mm.protectionKeys = taken.reduce((bits, { key }) => bits | (1 << key), 0);
    };
  },

  restore(saved, builder) {
    const taken = saved.mm?.protectionKeys ?? 0;
    if (taken === 0) return;
    takeKeys(taken, builder);
    for (const area of saved.mm?.vmas ?? []) {
      const { protectionKey: key, prot, start } = area;
      // The kernel's own key of memory that may only be executed is not taken: mprotect(2) gives it.
      if (key === undefined || !(taken & (1 << key))) continue;
      builder.makeRoom(1, 0);
      builder.batch.must(SYS.pkey_mprotect, start, sizeOf(area), prot, key);
    }
    builder.flush();
  },
};

/** The kernel gives the lowest key that is free: those in between are given back. */
function takeKeys(wanted: number, builder: ProcessBuilder): void {
  builder.makeRoom(KEYS.length, 0);
  const highest = 31 - Math.clz32(wanted);
  const got = KEYS.slice(0, highest).map(() => builder.batch.call(SYS.pkey_alloc, 0, 0));
  builder.flush();
  const keys = got.map(({ value }) => value);
  if (keys.some((key, i) => key !== BigInt(KEYS[i]!))) {
    const words = `protection keys ${wanted.toString(2)} cannot be had (answers ${keys.join(', ')})`;
    throw new Error(`${words}: restore on a node whose CPU has them (pku)`);
  }
  for (const key of KEYS.slice(0, highest)) {
    if (!(wanted & (1 << key))) builder.batch.must(SYS.pkey_free, key);
  }
}

// Mappings that nobody can change any more, mseal(2). The flag of an area is read with its others (memory/area.ts).
import { SYS } from '../arch/x86-64.ts';
import { errnoName } from '../linux/ffi.ts';
import { sizeOf } from '../memory/address-space.ts';
import type { RemoteResult } from '../tracee/remote-word.ts';
import type { ProcessKind } from './state-kind.ts';

export const seals: ProcessKind = {
  name: 'seals',
  scope: 'process',
  // After everything that changes areas, and after the birth of children, which take parts of them over.
  stage: 'final',

  collect: () => () => {},

  restore(saved, builder) {
    const sealed = (saved.mm?.vmas ?? []).filter((area) => area.sealed);
    let last: RemoteResult | undefined;
    for (const area of sealed) {
      builder.makeRoom(1, 0);
      last = builder.batch.call(SYS.mseal, area.start, sizeOf(area), 0);
    }
    builder.flush();
    if (!last || last.value >= 0n) return;
    builder.report({
      code: 'MemorySeal',
      severity: 'loss',
      pid: saved.pid,
      object: `${sealed.length} sealed areas: ${errnoName(Number(-last.value))}`,
      advice: 'mseal(2) needs Linux 6.10 on the target; the areas can be changed now',
    });
  },
};

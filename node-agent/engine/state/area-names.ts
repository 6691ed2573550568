// Names that a program gave its anonymous memory, for people who read /proc/PID/maps: prctl(PR_SET_VMA).
import { SYS } from '../arch/x86-64.ts';
import { encodeText } from '../image/text.ts';
import { errnoName } from '../linux/ffi.ts';
import { sizeOf } from '../memory/address-space.ts';
import type { RemoteResult } from '../tracee/remote-word.ts';
import type { ProcessKind } from './state-kind.ts';

const PR_SET_VMA = 0x53564d41;
const PR_SET_VMA_ANON_NAME = 0;
/** with the zero at its end, prctl(2) */
const MAX_NAME_BYTES = 80;

export const areaNames: ProcessKind = {
  name: 'area-names',
  scope: 'process',
  stage: 'resources',

  collect: () => () => {},

  restore(saved, builder) {
    const asked: RemoteResult[] = [];
    for (const area of saved.mm?.vmas ?? []) {
      if (area.name === undefined) continue;
      const name = Buffer.alloc(MAX_NAME_BYTES);
      name.set(encodeText(area.name).subarray(0, MAX_NAME_BYTES - 1));
      builder.makeRoom(1, MAX_NAME_BYTES);
      const { batch } = builder;
      const args = [PR_SET_VMA_ANON_NAME, area.start, sizeOf(area), batch.bytes(name)] as const;
      asked.push(batch.call(SYS.prctl, PR_SET_VMA, ...args));
    }
    if (asked.length === 0) return;
    builder.flush();
    const failed = asked.find(({ value }) => value < 0n);
    if (!failed) return;
    builder.report({
      code: 'MemoryName',
      severity: 'note',
      pid: saved.pid,
      object: `names of ${asked.length} areas: ${errnoName(Number(-failed.value))}`,
      advice: 'the kernel here lacks CONFIG_ANON_VMA_NAME; only /proc/PID/maps shows them',
    });
  },
};

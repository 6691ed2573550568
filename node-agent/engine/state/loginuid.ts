// Who logged in: the audit user of a process, which everybody it starts inherits. /proc/PID/loginuid.
import { SYS } from '../arch/x86-64.ts';
import { errnoName } from '../linux/ffi.ts';
import { tryReadProc } from '../linux/procfs/read.ts';
import type { ProcessKind } from './state-kind.ts';

const AT_FDCWD = -100;
const O_WRONLY = 1;
const UNSET = 0xffffffff;

function loginuidOf(pid: number): number | undefined {
  const text = tryReadProc(`/proc/${pid}/loginuid`);
  return text === undefined ? undefined : Number(text);
}

export const loginuid: ProcessKind = {
  name: 'loginuid',
  scope: 'process',
  // While the process may still do it, and before it has threads, which inherit it.
  stage: 'resources',

  collect({ process }) {
    const uid = loginuidOf(process.pid);
    return ({ task }) => {
      // A kernel without CONFIG_AUDIT has none.
      if (uid !== undefined) task.loginuid = uid;
    };
  },

  restore(saved, builder) {
    const wanted = saved.core.tc?.loginuid;
    const now = loginuidOf(builder.process.pid);
    if (wanted === undefined || now === undefined || wanted === now) return;
    builder.makeRoom(3, 64);
    const { batch } = builder;
    const text = Buffer.from(wanted === UNSET ? '-1' : String(wanted));
    // Only the process itself may write it.
    const fd = batch.call(SYS.openat, AT_FDCWD, batch.text('/proc/self/loginuid'), O_WRONLY, 0);
    const written = batch.call(SYS.write, fd, batch.bytes(text), text.length);
    batch.call(SYS.close, fd);
    builder.flush();
    if (written.value === BigInt(text.length)) return;
    builder.report({
      code: 'LoginUid',
      severity: 'loss',
      pid: saved.pid,
      object: `loginuid ${wanted}: ${errnoName(Number(-written.value))}`,
      advice: 'audit records name another user: changing it wants CAP_AUDIT_CONTROL and /proc',
    });
  },
};

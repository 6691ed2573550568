// Programs of another word size: refused before the first remote call, whose 64-bit code would kill them.
import { REG, USER_CS_64 } from './arch/x86-64.ts';
import { type Finding, RefusedError, refusal } from './finding.ts';
import type { SourceTree } from './protocol.ts';
import { listMembers } from './state/process-tree.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import type { Tracer } from './tracee/tracer.ts';

const ADVICE = '32-bit programs are not supported: run a 64-bit build';

/**
 * Registers, signal frames and system call numbers of 32-bit code are other than our images can hold.
 *
 * @param trees stopped, untouched so far
 * @throws RefusedError naming every process with a thread in 32-bit code
 */
export function refuseCompat(tracer: Tracer, trees: readonly SourceTree[]): void {
  const findings = trees.flatMap(({ name, rootPid }) =>
    listMembers(tracer, rootPid).flatMap(({ process }) => {
      const finding = process && judge(process);
      return finding ? [{ ...finding, tree: name }] : [];
    }),
  );
  if (findings.length > 0) throw new RefusedError(findings);
}

function judge(process: TracedProcess): Finding | undefined {
  const compat = [...process.threads.values()].find((t) => t.registers[REG.cs] !== USER_CS_64);
  return compat && refusal('Compat32Bit', process.nsPid, `thread ${compat.nsTid}`, ADVICE);
}

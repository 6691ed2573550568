// A process that looks like a container from outside: pid 1 of its own pid namespace, in a control group named
// after a container id. Needs root.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcessHandle } from '../process-handle.ts';

/** Where control groups may be mounted: pure v2, hybrid, v1. */
const GROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/freezer'];
const ATTEMPTS = 200;

export interface NamespacedProcess extends AsyncDisposable {
  readonly pid: number;
  readonly group: string | undefined;
}

/** Why such processes cannot be made here, or undefined. */
export function whyNoNamespaces(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'making namespaces and control groups needs root';
}

/** @param groupName last component of its control group; none: it stays in ours */
export async function startNamespacedProcess(groupName?: string): Promise<NamespacedProcess> {
  const unshare = spawn(
    'unshare',
    ['--pid', '--fork', '--kill-child', '--mount-proc', 'sleep', '60'],
    {
      stdio: 'ignore',
    },
  );
  await once(unshare, 'spawn');
  const pid = await onlyChild(unshare);
  const group = groupName === undefined ? undefined : joinGroup(pid, groupName);
  return {
    pid,
    group,
    async [Symbol.asyncDispose]() {
      unshare.kill('SIGKILL');
      await Promise.all([once(unshare, 'exit'), ended(pid)]);
      if (group !== undefined) {
        rmdirSync(group);
      }
    },
  };
}

async function onlyChild({ pid }: ChildProcess): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim());
    if (child > 1 && readFileSync(`/proc/${child}/comm`, 'latin1').trim() === 'sleep') {
      return child;
    }
    await sleep(10);
  }
  throw new Error('unshare made no child');
}

function joinGroup(pid: number, name: string): string {
  const root = GROUP_ROOTS.find((path) => existsSync(`${path}/cgroup.procs`));
  if (root === undefined) {
    throw new Error('no control group hierarchy is mounted');
  }
  const group = `${root}/${name}`;
  mkdirSync(group);
  writeFileSync(`${group}/cgroup.procs`, String(pid));
  return group;
}

/** A zombie that nobody reaps yet has left its control group already. */
async function ended(pid: number): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    using handle = ProcessHandle.open(pid);
    if (handle?.alive !== true) {
      return;
    }
    await sleep(10);
  }
}

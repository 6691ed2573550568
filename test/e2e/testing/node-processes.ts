// Processes of a pod as this machine sees them, found by the ids in their cgroup; only such are ever signalled.
import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import type { Pod } from '../../../src/cluster/pod.ts';
import { eventually } from './eventually.ts';

export interface HostProcess {
  readonly pid: number;
  /** clock ticks since boot: with the pid it is never anybody else */
  readonly startTime: string;
  readonly arguments: readonly string[];
  readonly state: string;
}

/** Id of a running container, as the runtime writes it. @throws Error unless it is 64 hex digits */
export function containerId(pod: Pod, container?: string): string {
  const statuses = pod.status?.containerStatuses ?? [];
  const status = statuses.find(({ name }) => container === undefined || name === container);
  const id = /:\/\/([0-9a-f]{64})$/.exec(status?.containerID ?? '')?.[1];
  if (id === undefined) {
    throw new Error(`pod ${pod.metadata.name} has no running container ${container ?? ''}`);
  }
  return id;
}

/** All processes in the pod's container, exec'ed ones included. */
export function processesOf(pod: Pod, container?: string): readonly HostProcess[] {
  const group = `/pod${pod.metadata.uid}/${containerId(pod, container)}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name), group))
    .filter((found) => found !== undefined);
}

function readProcess(pid: number, group: string): HostProcess | undefined {
  try {
    const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'latin1');
    if (
      pid <= 1 ||
      !read('cgroup')
        .split('\n')
        .some((line) => line.endsWith(group))
    ) {
      return undefined;
    }
    const [state = '', ...fields] = read('stat')
      .replace(/^.*\) /s, '')
      .split(' ');
    // Field 22 of proc_pid_stat(5); the state is the third.
    const startTime = fields[18] ?? '';
    return { pid, startTime, state, arguments: read('cmdline').split('\0').filter(Boolean) };
  } catch {
    // It ended in between.
    return undefined;
  }
}

/** SIGKILL, if it is still that very process of that very container. */
export function killProcess(pod: Pod, { pid, startTime }: HostProcess): void {
  const present = processesOf(pod).find((found) => found.pid === pid);
  if (present?.startTime === startTime) {
    process.kill(pid, 'SIGKILL');
  }
}

/** The program's own process: not an engine that it started. */
export function mainProcess(pod: Pod, program: string): HostProcess {
  const found = processesOf(pod).find((one) =>
    one.arguments.some((word) => word.endsWith(program)),
  );
  if (found === undefined) {
    throw new Error(`no ${program} runs in pod ${pod.metadata.name}`);
  }
  return found;
}

/** Of a process, from smaps_rollup; 0 once it has ended. */
export function memoryMebibytes(pid: number, field: 'Rss' | 'Pss'): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Every process of it runs or sleeps: none is stopped, traced or frozen. */
export async function untilItRuns(pod: Pod, limitMillis: number): Promise<void> {
  await eventually(
    `no process of ${pod.metadata.name} is stopped`,
    () => processesOf(pod).map(({ pid, state }) => `${pid} ${state}`),
    (states) => states.length > 0 && states.every((one) => !/ [tT]$/.test(one)),
    limitMillis,
  );
}

/** Nothing but the program's own processes is left in its container. */
export async function untilOnly(pod: Pod, count: number): Promise<void> {
  await eventually(
    `${pod.metadata.name} has ${count} processes`,
    () => processesOf(pod),
    (found) => found.length === count,
    20_000,
  );
}

// Programs and placeholders as PID 1 of namespaces of their own, the way containers have them; also without any right.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, openSync, readFileSync, closeSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { init } from '../../shim/shim.generated.ts';
import { type Victim, watch } from './victim.ts';

/** User of a pod that passes the restricted Pod Security level. */
export const CONFINED_USER = 1000;
const LIMIT_MILLIS = 10_000;
const NAMESPACES = ['--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
const WITHOUT_RIGHTS = [
  'setpriv',
  ...['--reuid', String(CONFINED_USER), '--regid', String(CONFINED_USER), '--clear-groups'],
  ...['--bounding-set', '-all', '--inh-caps', '-all', '--no-new-privs'],
];

/** A victim whose output goes on when it is restored into a placeholder. */
export interface Contained {
  readonly victim: Victim;
  /** the file that its output goes to */
  readonly out: string;
}

export interface PodOptions {
  /** a process whose network namespace it shares, as containers of one pod do; absent: its own */
  readonly networkOf?: number;
  /** what it prints when it can be saved */
  readonly readyLine?: RegExp;
}

/** Starts a program, as root, as PID 1; waits until it printed `ready`. */
export async function startContained(
  program: string,
  args: readonly string[] = [],
  { networkOf, readyLine = /ready/ }: PodOptions = {},
): Promise<Contained> {
  const dir = mkdtempSync(join(tmpdir(), 'diapause-contained-'));
  chmodSync(dir, 0o755);
  const out = join(dir, 'out');
  const pid = await startPid1([program, ...args], dir, out, networkOf);
  const victim = watch(pid, dir, out);
  await victim.waitForLine(readyLine);
  return { victim, out };
}

/**
 * Starts a placeholder: without capabilities, with no_new_privs, as a user that is not root; or as root with all of them.
 */
export async function startPlaceholder(
  contained: Contained,
  rights: 'none' | 'all' = 'none',
  { networkOf }: Pick<PodOptions, 'networkOf'> = {},
): Promise<Victim> {
  const { dir } = contained.victim;
  const program = join(dir, 'diapause-init');
  writeFileSync(program, Buffer.from(init.bytesBase64, 'base64'), { mode: 0o555 });
  const command = rights === 'none' ? [...WITHOUT_RIGHTS, program] : [program];
  const pid = await startPid1(command, dir, contained.out, networkOf);
  const placeholder = watch(pid, dir, contained.out);
  await until('the placeholder', () => comm(pid) === 'diapause-init' || undefined);
  return placeholder;
}

const comm = (pid: number): string => readFileSync(`/proc/${pid}/comm`, 'latin1').trim();

/** @returns pid of the PID 1 as this process numbers it */
async function startPid1(
  command: readonly string[],
  cwd: string,
  out: string,
  networkOf?: number,
): Promise<number> {
  const output = openSync(out, 'a', 0o600);
  const network =
    networkOf === undefined
      ? ['unshare', '--net']
      : ['nsenter', '--target', String(networkOf), '--net', 'unshare'];
  const [tool, ...options] = [...network, ...NAMESPACES, 'setsid', ...command];
  const outside = spawn(tool!, options, {
    cwd,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  outside.unref();
  return until('PID 1', () => onlyChild(outside));
}

function onlyChild({ pid }: ChildProcess): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ');
  return children[0] ? Number(children[0]) : undefined;
}

async function until<T>(what: string, ask: () => T | undefined): Promise<T> {
  for (const end = Date.now() + LIMIT_MILLIS; ; ) {
    const answer = ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`waited ${LIMIT_MILLIS} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

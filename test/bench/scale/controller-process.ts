// The controller as it is shipped, one bundled module in a process of its own, and what the kernel says about it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { build } from 'esbuild';
import { stringify } from 'yaml';
import { ENTRY_POINTS, ONE_MODULE } from '../../../deploy/images/programs.ts';

const CLOCK_TICKS_PER_SECOND = 100;

export interface Usage {
  readonly residentMebibytes: number;
  readonly peakMebibytes: number;
  readonly cpuSeconds: number;
}

export class ControllerProcess {
  readonly startedAt: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.startedAt = performance.now();
  }

  /** @param directory for the bundle and the kubeconfig */
  static async start(directory: string, serverUrl: string): Promise<ControllerProcess> {
    const program = join(directory, 'controller.mjs');
    const source = ENTRY_POINTS['controller.js'];
    await build({ ...ONE_MODULE, entryPoints: [source], outfile: program });
    const kubeconfig = join(directory, 'kubeconfig');
    writeFileSync(kubeconfig, stringify(kubeconfigOf(serverUrl)));
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, KUBECONFIG: kubeconfig, HTTP_PORT: '0', LOG_LEVEL: 'warn' },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return new ControllerProcess(child);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  usage(): Usage {
    const { pid } = this.#child;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kibibytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
    // The name of the program, in parentheses, is the only field that may hold spaces.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return {
      residentMebibytes: kibibytes('VmRSS') / 1024,
      peakMebibytes: kibibytes('VmHWM') / 1024,
      cpuSeconds: (Number(stat[11]) + Number(stat[12])) / CLOCK_TICKS_PER_SECOND,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await ended;
    }
  }
}

function kubeconfigOf(server: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    clusters: [{ name: 'bench', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'nobody', user: {} }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'nobody' } }],
  };
}

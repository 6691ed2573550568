// The program as it is shipped, started as a user starts it, against the test API server.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { buildCommandLine, COMMAND_LINE } from '../../deploy/images/command-line.ts';
import { FakeApiServer } from '../../kube/testing/fake-api-server.ts';
import type { FakeKind } from '../../kube/testing/fake-store.ts';
import { testKubeconfig } from '../../kube/testing/kubeconfig.ts';
import { until } from '../../kube/testing/until.ts';
import { type Kind, STORE, LISTED_KINDS } from '../kinds.ts';

const folder = mkdtempSync(join(tmpdir(), 'diapause-program-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** As it is shipped: one file, away from this checkout. */
export const BINARY = join(folder, COMMAND_LINE);
await buildCommandLine(BINARY);

export const NAMESPACE = 'shop';

const fakeKind = ({ type, kind }: Kind): FakeKind => ({ ...type, kind });
const core = (plural: string, kind: string, namespaced: boolean): FakeKind => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});

export const KINDS: readonly FakeKind[] = [
  ...[...LISTED_KINDS, STORE].map(fakeKind),
  core('pods', 'Pod', true),
  core('nodes', 'Node', false),
  core('namespaces', 'Namespace', false),
];

export class TestCluster implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly #folder = mkdtempSync(join(tmpdir(), 'diapause-cli-'));

  private constructor(server: FakeApiServer) {
    this.server = server;
    writeFileSync(this.kubeconfig, testKubeconfig(server.url, NAMESPACE, { elsewhere: 'other' }));
  }

  static async start(kinds: readonly FakeKind[] = KINDS): Promise<TestCluster> {
    return new TestCluster(await FakeApiServer.start({ kinds }));
  }

  get kubeconfig(): string {
    return join(this.#folder, 'kubeconfig');
  }

  /** Starts the program with this cluster as its kubeconfig. */
  start(...args: readonly string[]): Running {
    return new Running(spawn(BINARY, args, { env: this.environment }));
  }

  async run(...args: readonly string[]): Promise<Finished> {
    return await this.start(...args).finished();
  }

  get environment(): NodeJS.ProcessEnv {
    const PATH = `${dirname(process.execPath)}:${process.env['PATH']}`;
    return { ...process.env, PATH, KUBECONFIG: this.kubeconfig, TERM: 'xterm' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Running {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #closed: Promise<unknown>;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#closed = once(child, 'close');
  }

  /** Until a piece of text came, on whichever stream. */
  async says(text: string): Promise<void> {
    await until(
      `${text} in: ${this.stdout}${this.stderr}`,
      () => `${this.stdout}${this.stderr}`.includes(text),
      30_000,
    );
  }

  async finished(): Promise<Finished> {
    await this.#closed;
    return { code: this.child.exitCode, stdout: this.stdout, stderr: this.stderr };
  }
}

// A node with an API server for tests of tasks: a folder, a volume, a victim, and NodeTasks to put before an agent.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { API_VERSION } from '../../../crds/meta.ts';
import { OPERATOR_NAMESPACE } from '../../../crds/names.ts';
import type {
  DumpPayload,
  NodeTask,
  NodeTaskSpec,
  NodeTaskStatus,
  RestorePayload,
  TaskHook,
} from '../../../crds/node-task.ts';
import { FakeApiServer } from '../../../kube/testing/fake-api-server.ts';
import { until } from '../../../kube/testing/until.ts';
import { NODE_TASKS } from '../task-agent.ts';
import {
  commandsFile,
  type FakeNode,
  freezerFile,
  prepareFreezer,
  scenarioFile,
} from './fake-tools.ts';
import { readCleanUps, rewindFile, type Scenario, SUCCESS, writeScenario } from './scenario.ts';

const POD = { namespace: 'team', name: 'app-1', uid: 'pod-1' };
export const BUNDLE_NAME = 'chk-c-1';
const STORE = {
  holder: { namespace: 'team', name: 'holder', uid: 'holder-1' },
  holderContainerID: `containerd://${'cd'.repeat(32)}`,
  mountPath: '/store',
  bundlePath: `team/${BUNDLE_NAME}`,
};
export const CONTAINERS = [
  {
    name: 'app',
    containerID: `containerd://${'ab'.repeat(32)}`,
    imageID: `sha256:${'1'.repeat(64)}`,
  },
];

/** Sleeps; SIGUSR1 makes it look like a placeholder. */
const REWINDABLE = `#!/bin/sh
trap 'printf diapause-init >/proc/$$/comm' USR1
while :; do sleep 300 & wait; done
`;

export class Bench implements FakeNode, AsyncDisposable {
  readonly api: FakeApiServer;
  readonly folder: string;
  readonly victim: ChildProcess;
  #tasks = 0;

  private constructor(api: FakeApiServer, folder: string, victim: ChildProcess) {
    this.api = api;
    this.folder = folder;
    this.victim = victim;
  }

  /** @param victimName what the victim calls itself; `diapause-init` makes it a placeholder */
  static async start(victimName = 'victim', isRewindable = false): Promise<Bench> {
    const api = await FakeApiServer.start({
      kinds: [{ ...NODE_TASKS, kind: 'NodeTask', selectable: ['spec.nodeName'] }],
    });
    const folder = await mkdtemp(join(tmpdir(), 'diapause-tasks-'));
    if (isRewindable) {
      writeFileSync(join(folder, victimName), REWINDABLE, { mode: 0o755 });
    } else {
      copyFileSync('/bin/sleep', join(folder, victimName));
    }
    const victim = spawn(join(folder, victimName), ['300'], { stdio: 'ignore' });
    await once(victim, 'spawn');
    const bench = new Bench(api, folder, victim);
    mkdirSync(bench.volume);
    prepareFreezer(bench);
    bench.scenario(SUCCESS);
    return bench;
  }

  get volume(): string {
    return join(this.folder, 'volume');
  }

  get journalFolder(): string {
    return join(this.folder, 'journal');
  }

  get victimPid(): number {
    return this.victim.pid ?? 0;
  }

  /** What an engine does that is told to rewind. */
  rewindScenario(scenario: Scenario): void {
    writeScenario(rewindFile(scenarioFile(this)), scenario);
  }

  scenario(scenario: Scenario): void {
    writeScenario(scenarioFile(this), scenario);
  }

  /** How often an engine was told to take away what another one left in the victim. */
  get cleanUps(): number {
    return readCleanUps(scenarioFile(this)).filter((pids) => pids === `${this.victimPid}`).length;
  }

  /** Commands that were run inside containers, in their order. */
  get commands(): string[] {
    const file = commandsFile(this);
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  /** Puts a task before the agent. */
  give(spec: Omit<NodeTaskSpec, 'nodeName' | 'owner' | 'deadline'>, extra: object = {}): string {
    const name = `task-${++this.#tasks}`;
    const task = {
      apiVersion: API_VERSION,
      kind: 'NodeTask',
      metadata: { name, namespace: OPERATOR_NAMESPACE },
      spec: {
        nodeName: 'node-a',
        owner: { kind: 'Checkpoint', namespace: 'team', name: 'chk', uid: 'c-1' },
        deadline: new Date(Date.now() + 60_000).toISOString(),
        ...spec,
        ...extra,
      },
    } as NodeTask;
    this.api.seed(NODE_TASKS, task);
    return name;
  }

  giveDump(payload: Partial<DumpPayload> = {}, extra: object = {}): string {
    const dump: DumpPayload = {
      pod: POD,
      containers: CONTAINERS,
      store: STORE,
      afterDump: 'Resume',
      freezeLimitMillis: 5_000,
      established: 'Close',
      rootfsDiff: 'Changed',
      maxEmbeddedBytes: 1 << 20,
      maxBytes: 0,
      dryRun: false,
      podManifest: { spec: { containers: [{ name: 'app' }] } },
      ...payload,
    };
    return this.give({ type: 'Dump', dump } as never, extra);
  }

  giveRestore(bundleDigest: string, payload: Partial<RestorePayload> = {}): string {
    const pod = { ...POD, uid: 'pod-2' };
    const restore = { pod, containers: CONTAINERS, store: STORE, bundleDigest, ...payload };
    return this.give({ type: 'Restore', restore } as never);
  }

  giveThaw(post: readonly TaskHook[] = []): string {
    return this.give({ type: 'Thaw', thaw: { pod: POD, containers: CONTAINERS, post } } as never);
  }

  giveVerify(bundleDigest: string): string {
    return this.give({ type: 'Verify', verify: { store: STORE, bundleDigest } } as never);
  }

  giveDelete(): string {
    return this.give({ type: 'DeleteBundle', deleteBundle: { store: STORE } } as never);
  }

  /** Calls a task back, as the controller does. */
  async cancel(name: string): Promise<void> {
    const tasks = this.api.client().resource(NODE_TASKS);
    await tasks.mergePatch({ namespace: OPERATOR_NAMESPACE, name }, { spec: { cancel: true } });
  }

  task(name: string): NodeTask | undefined {
    return this.api.peek<NodeTask>(NODE_TASKS, { namespace: OPERATOR_NAMESPACE, name });
  }

  status(name: string): NodeTaskStatus {
    return this.task(name)?.status ?? {};
  }

  async untilStage(name: string, stage: string): Promise<void> {
    await until(`${name} at ${stage}`, () => this.status(name).stage === stage);
  }

  /** @returns the status in which the task ended */
  async untilEnded(name: string): Promise<NodeTaskStatus> {
    const ended = ['Succeeded', 'Failed', 'Canceled'];
    await until(`${name} ended`, () => ended.includes(this.status(name).state ?? ''), 30_000);
    return this.status(name);
  }

  /** What lies in the namespace's folder of the volume. */
  bundles(): string[] {
    try {
      return readdirSync(join(this.volume, 'team')).sort();
    } catch {
      return [];
    }
  }

  journalled(): string[] {
    return readdirSync(this.journalFolder).filter((file) => file.endsWith('.json'));
  }

  get frozen(): boolean {
    return readFileSync(freezerFile(this), 'utf8') === '1';
  }

  /** State letter of the victim: `S` asleep as it should be, `t` stopped by a tracer. */
  get victimState(): string {
    return readFileSync(`/proc/${this.victimPid}/stat`, 'latin1').split(') ')[1]?.charAt(0) ?? '?';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.victim.kill('SIGKILL');
    await this.api.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

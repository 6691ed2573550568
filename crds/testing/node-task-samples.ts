// NodeTasks that are accepted: one of each type and way, together those with every field there is.
import { API_VERSION } from '../meta.ts';
import type {
  DumpPayload,
  NodeTask,
  NodeTaskSpec,
  NodeTaskStatus,
  RestorePayload,
  TaskTransfer,
  TransferPoint,
} from '../node-task.ts';
import { type Complete, condition, ID, report, TIME } from './samples.ts';

const pod = { namespace: 'shop', name: 'redis', uid: 'u-1' };
const container = { name: 'main', containerID: `containerd://${ID}`, imageID: `sha256:${ID}` };
const containers = [container];
const store = {
  holder: { namespace: 'shop', name: 'diapause-holder-1', uid: 'u-3' },
  holderContainerID: `containerd://${ID}`,
  mountPath: '/store',
  bundlePath: 'shop/redis-1-u-9',
};
const http = { podIP: '10.88.0.7', port: 80, path: '/on', method: 'POST' } as const;
const exec = { container, command: ['sync'] } as const;
const taskHooks = [
  { exec, onError: 'Fail', timeoutSeconds: 10 },
  { http, onError: 'Ignore', timeoutSeconds: 5 },
] as const;
const hooks = { pre: taskHooks, post: taskHooks };
const dump: Complete<Omit<DumpPayload, 'transfer'>> = {
  pod,
  containers,
  store,
  preCopy: { maxDowntimeMillis: 10_000 },
  afterDump: 'Resume',
  freezeLimitMillis: 10_000,
  established: 'Close',
  rootfsDiff: 'Changed',
  emptyDirs: 'Content',
  maxEmbeddedBytes: 536870912,
  maxBytes: 0,
  dryRun: false,
  podManifest: { kind: 'Pod' },
  hooks,
};

const { store: _store, ...anyDump } = dump;
const endpoint: Complete<TransferPoint> = {
  address: '10.244.1.7',
  port: 40_001,
  fingerprint: `sha256:${ID}`,
};
const transfer: Complete<TaskTransfer> = { ...endpoint, bandwidthBytes: 104_857_600 };

const status: Complete<NodeTaskStatus> = {
  transfer: endpoint,
  state: 'Failed',
  acceptedBy: { agentPod: 'diapause-agent-x', uid: 'u-4' },
  heartbeatTime: TIME,
  stage: 'saving-pages',
  committed: false,
  bytesDone: 1,
  bytesTotal: 2,
  rounds: [{ number: 1, bytes: 105000000, dirtyBytes: 4096, millis: 800 }],
  result: {
    containers: [
      { name: 'main', processes: 1, threads: 5, memoryBytes: 104857600, rootfsDiffBytes: 0 },
    ],
    freezeMillis: 12.5,
    restoreMillis: 40,
    frozenAt: TIME,
    resumedAt: TIME,
    bundleBytes: 105000000,
    bundleDigest: `sha256:${ID}`,
    requirements: { arch: 'x86_64' },
    report: [report],
    verification: { passed: true, reason: 'Verified', message: 'the bundle; 64 pages' },
    clocks: { monotonic: TIME, boottime: TIME },
    cpuFeatures: ['avx2'],
  },
  error: { code: 'StoreFull', message: 'no space left on device', retryable: false },
  conditions: [condition],
};

const shared = {
  nodeName: 'node-a',
  owner: { kind: 'Checkpoint', namespace: 'shop', name: 'redis-1', uid: 'u-9' },
  deadline: TIME,
  cancel: false,
} as const;

const digest = `sha256:${ID}`;
const restore: Complete<Omit<RestorePayload, 'received'>> = {
  pod,
  containers,
  store,
  bundleDigest: digest,
  inPlace: true,
  hooks,
  probe: { http, timeoutSeconds: 30 },
};
const { store: _place, ...anyRestore } = restore;
const specs: readonly NodeTaskSpec[] = [
  { ...shared, type: 'Dump', dump },
  { ...shared, type: 'Restore', restore },
  { ...shared, type: 'Dump', dump: { ...anyDump, transfer } },
  { ...shared, type: 'Restore', restore: { ...anyRestore, received: { taskUid: 'u-7' } } },
  { ...shared, type: 'Receive', receive: { pod, senderFingerprint: digest } },
  { ...shared, type: 'Thaw', thaw: { pod, containers, post: taskHooks } },
  { ...shared, type: 'DeleteBundle', deleteBundle: { store } },
  { ...shared, type: 'Verify', verify: { store, bundleDigest: digest } },
  { ...shared, type: 'Describe', describe: { containerID: container.containerID } },
  // Beyond one of each type: the other kind of probe.
  { ...shared, type: 'Restore', restore: { ...restore, probe: { exec, timeoutSeconds: 30 } } },
];

/** One of each type; together they have every field. */
export const nodeTasks: readonly NodeTask[] = specs.map((spec) => ({
  apiVersion: API_VERSION,
  kind: 'NodeTask',
  metadata: { name: `${spec.type.toLowerCase()}-1`, namespace: 'diapause-system' },
  spec,
  status,
}));

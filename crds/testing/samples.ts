// Objects of every kind that are accepted: the shortest, and one with every field there is. They are typed, so the
// types accept them too; `Complete` makes a field that exists only in the type, or only in the schema, show up.
import type { Checkpoint } from '../checkpoint.ts';
import type { CheckpointSchedule } from '../checkpoint-schedule.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import { API_VERSION, type Condition, type Report } from '../meta.ts';

/** No field may be left out, at any depth. */
export type Complete<T> = T extends readonly (infer Item)[]
  ? readonly Complete<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]-?: Complete<T[Key]> }
    : T;

export type Body<T extends { readonly spec: unknown; readonly status?: unknown }> = {
  readonly spec: Complete<T['spec']>;
  readonly status: Complete<NonNullable<T['status']>>;
};

export const TIME = '2026-11-24T03:00:00Z';
export const ID = 'ab'.repeat(32);

export const condition: Complete<Condition> = {
  type: 'Ready',
  status: 'True',
  reason: 'Completed',
  message: 'done',
  lastTransitionTime: TIME,
  observedGeneration: 1,
};

export const report: Report = {
  severity: 'loss',
  code: 'TcpEstablished',
  container: 'main',
  pid: 7,
  message: 'fd 5 -> socket:[123]: the restored process finds it reset',
};

export const execHook = {
  exec: { container: 'main', command: ['sync'] },
  onError: 'Fail',
  timeoutSeconds: 10,
} as const;
export const httpHook = {
  http: { port: 80, path: '/on', method: 'POST' },
  onError: 'Ignore',
  timeoutSeconds: 5,
} as const;

export const shortCheckpoint: Checkpoint = {
  apiVersion: API_VERSION,
  kind: 'Checkpoint',
  metadata: { name: 'redis-1' },
  spec: { source: { pod: { name: 'redis' } } },
};

const checkpointBody: Body<Checkpoint> = {
  spec: {
    source: { pod: { name: 'redis', uid: 'u-1', containers: ['main'] } },
    storeRef: { name: 'default' },
    transfer: { bandwidth: '100Mi', preCopy: true },
    afterDump: 'DeletePod',
    include: { rootfsDiff: 'Changed', emptyDirs: 'Content' },
    sockets: { established: 'Close' },
    openResources: { maxEmbeddedBytes: '512Mi' },
    limits: { timeoutSeconds: 300, maxFreezeSeconds: 5, maxBytes: 1_000_000_000 },
    hooks: { pre: [execHook, httpHook], post: [execHook, httpHook] },
    mode: 'Execute',
    retention: { deletionPolicy: 'Delete', hold: true },
    suspend: false,
    cancel: false,
  },
  status: {
    observedGeneration: 1,
    phase: 'Ready',
    conditions: [condition],
    source: {
      podUID: 'u-1',
      node: 'node-a',
      ownerKind: 'ReplicaSet',
      ownerName: 'redis-5f',
      containers: [{ name: 'main', imageID: `sha256:${ID}` }],
    },
    podTemplate: {
      metadata: { labels: { app: 'redis' }, annotations: { note: 'any' } },
      spec: { containers: [{ name: 'main', image: 'redis:8' }] },
    },
    containers: [
      {
        name: 'main',
        imageID: `docker.io/library/redis@sha256:${ID}`,
        processes: 1,
        threads: 5,
        memoryBytes: 104857600,
        rootfsDiffBytes: 4096,
      },
    ],
    requirements: { arch: 'x86_64', cpuFeatures: ['avx2'] },
    store: { name: 'default', claimName: 'checkpoints' },
    bundle: {
      path: 'default/redis-1-u-9',
      digest: `sha256:${ID}`,
      bytes: 105000000,
      size: '100 MiB',
    },
    parent: { name: 'redis-0' },
    timing: {
      startTime: TIME,
      completionTime: TIME,
      frozenAt: TIME,
      resumedAt: TIME,
      freezeMillis: 12.5,
      freezeLimitMillis: 10_000,
      freeze: '12.5ms',
    },
    progress: { stage: 'saving-pages', bytesDone: 1, bytesTotal: 2 },
    rounds: [{ number: 1, bytes: 105000000, dirtyBytes: 4096, millis: 800 }],
    estimate: {
      bytes: 105000000,
      size: '101Mi',
      freezeMillis: 12.5,
      freeze: '12.5ms',
      nodes: [{ name: 'node-b', suitable: 'Yes', message: 'ready' }],
    },
    attempts: 1,
    report: [report],
  },
};
export const completeCheckpoint: Checkpoint = { ...shortCheckpoint, ...checkpointBody };

export const shortStore: CheckpointStore = {
  apiVersion: API_VERSION,
  kind: 'CheckpointStore',
  metadata: { name: 'default', annotations: { 'diapause.dev/is-default-store': 'true' } },
  spec: { persistentVolumeClaim: { claimName: 'checkpoints' } },
};

const storeBody: Body<CheckpointStore> = {
  spec: { persistentVolumeClaim: { claimName: 'checkpoints' } },
  status: { observedGeneration: 1, conditions: [condition], capacity: '10Gi' },
};
export const completeStore: CheckpointStore = { ...shortStore, ...storeBody };

export const shortSchedule: CheckpointSchedule = {
  apiVersion: API_VERSION,
  kind: 'CheckpointSchedule',
  metadata: { name: 'redis-hourly' },
  spec: { schedule: '0 * * * *', selector: { matchLabels: { app: 'redis' } } },
};

const scheduleBody: Body<CheckpointSchedule> = {
  spec: {
    schedule: '*/15 * * * *',
    timeZone: 'Europe/Berlin',
    jitterSeconds: 30,
    startingDeadlineSeconds: 600,
    concurrencyPolicy: 'Replace',
    suspend: false,
    runNow: '2026-11-24',
    triggers: { onNodeDrain: true, onAnnotation: true, minIntervalSeconds: 60 },
    selector: {
      matchLabels: { app: 'redis' },
      matchExpressions: [{ key: 'tier', operator: 'In', values: ['cache'] }],
    },
    maxPodsPerRun: 10,
    template: {
      metadata: { labels: { team: 'shop' }, annotations: { note: 'nightly' } },
      spec: {
        containers: ['main'],
        storeRef: { name: 'default' },
        include: { rootfsDiff: 'None', emptyDirs: 'None' },
        sockets: { established: 'Close' },
        openResources: { maxEmbeddedBytes: '1Gi' },
        limits: { timeoutSeconds: 300, maxFreezeSeconds: 5, maxBytes: '2Gi' },
        hooks: { pre: [execHook, httpHook], post: [execHook, httpHook] },
        retention: { deletionPolicy: 'Delete' },
      },
    },
    successfulHistoryLimit: 50,
    failedHistoryLimit: 2,
    retention: {
      keepLast: 4,
      keepHourly: 24,
      keepDaily: 7,
      keepWeekly: 4,
      keepWithin: '36h',
      maxBytes: '20Gi',
    },
  },
  status: {
    observedGeneration: 1,
    phase: 'Ready',
    conditions: [condition],
    cron: { schedule: '*/15 * * * *', timeZone: 'Europe/Berlin', since: TIME },
    active: 1,
    activeCheckpoints: ['redis-hourly-redis-20261124030000'],
    lastScheduleTime: TIME,
    nextScheduleTime: TIME,
    lastSuccessfulTime: TIME,
    lastRunToken: '2026-11-24',
    lastRun: { time: TIME, trigger: 'Schedule', pods: 1 },
    lastSkipped: { time: TIME, reason: 'StillActive', message: 'redis is being saved' },
    missedRuns: 3,
    drainedNodes: ['node-a'],
    requests: [{ podUID: 'u-1', token: 'before-upgrade' }],
    totals: { checkpoints: 4, bytes: 420000000, size: '401Mi' },
  },
};
export const completeSchedule: CheckpointSchedule = { ...shortSchedule, ...scheduleBody };

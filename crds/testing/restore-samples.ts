// Restores that are accepted: the shortest, and some that have every field together.
import { API_VERSION } from '../meta.ts';
import type { Restore, RestoreTarget } from '../restore.ts';
import {
  type Body,
  type Complete,
  condition,
  execHook,
  httpHook,
  report,
  TIME,
} from './samples.ts';

export const shortRestore: Restore = {
  apiVersion: API_VERSION,
  kind: 'Restore',
  metadata: { name: 'redis-back' },
  spec: { checkpointRef: { name: 'redis-1' } },
};

const restoreBody: Body<Restore> = {
  spec: {
    checkpointRef: { name: 'redis-1' },
    target: {
      type: 'NewPod',
      newPod: {
        name: 'redis-b',
        nodeName: 'node-b',
        excludedNodeNames: ['node-a'],
        overrides: {
          labels: { app: 'redis-b' },
          annotations: { note: 'restored' },
          env: [{ container: 'main', name: 'TOKEN', value: 'other' }],
          resources: [{ container: 'main', requests: { cpu: 1 }, limits: { memory: '1Gi' } }],
          nodeSelector: { disk: 'ssd' },
        },
      },
    },
    placement: 'AfterCheckpoint',
    hooks: { pre: [execHook], post: [execHook, httpHook] },
    verify: { probe: { http: { port: 80, path: '/ok', method: 'GET' }, timeoutSeconds: 30 } },
    timeoutSeconds: 600,
    cancel: false,
  },
  status: {
    observedGeneration: 1,
    phase: 'Ready',
    conditions: [condition],
    pod: { name: 'redis-b', uid: 'u-2', node: 'node-b' },
    adoption: {
      ownerUID: 'u-3',
      podName: 'redis-0',
      selector: { 'controller-revision-hash': 'redis-5f' },
      labels: { 'diapause.dev/restore-uid': 'u-4' },
      annotations: { 'diapause.dev/restore': 'redis-back' },
      spec: { containers: [] },
      inForce: true,
    },
    containers: [{ name: 'main', processes: 1 }],
    timing: { startTime: TIME, completionTime: TIME, restoreMillis: 40, restoredAt: TIME },
    progress: { stage: 'filling-memory', bytesDone: 1, bytesTotal: 2 },
    attempts: 1,
    report: [report],
  },
};
export const completeRestore: Restore = { ...shortRestore, ...restoreBody };
/** The one thing that {@link completeRestore} cannot have besides. */
export const execProbedRestore: Restore = {
  ...shortRestore,
  spec: { ...shortRestore.spec, verify: { probe: { exec: execHook.exec, timeoutSeconds: 30 } } },
};

const adoption: Complete<Extract<RestoreTarget, { type: 'Adopt' }>> = {
  type: 'Adopt',
  adopt: {
    ownerRef: { kind: 'StatefulSet', name: 'redis' },
    podName: 'redis-0',
    nodeName: 'node-b',
    excludedNodeNames: ['node-a'],
    nodeSelector: { disk: 'ssd' },
  },
};
export const adoptingRestore: Restore = {
  ...shortRestore,
  spec: { ...shortRestore.spec, target: adoption },
};

const rewind: Complete<Extract<RestoreTarget, { type: 'InPlace' }>> = {
  type: 'InPlace',
  inPlace: { podRef: { name: 'redis', uid: 'u-1' } },
};
export const rewindingRestore: Restore = {
  ...shortRestore,
  spec: { ...shortRestore.spec, target: rewind },
};

// Objects as the controller leaves them, for tests.
import type { Checkpoint, CheckpointStatus } from '../../crds/checkpoint.ts';
import { API_VERSION, type Condition, type Report } from '../../crds/meta.ts';
import type { Restore, RestoreStatus } from '../../crds/restore.ts';
import { NAMESPACE } from './program.ts';

export const CREATED = '2026-11-27T12:00:00Z';

export function condition(
  type: string,
  status: Condition['status'],
  reason: string,
  message = `${reason} it is`,
): Condition {
  return { type, status, reason, message, lastTransitionTime: CREATED };
}

export function checkpoint(name: string, status?: CheckpointStatus): Checkpoint {
  return {
    apiVersion: API_VERSION,
    kind: 'Checkpoint',
    metadata: { namespace: NAMESPACE, name },
    spec: { source: { pod: { name: 'redis' } } },
    ...(status === undefined ? {} : { status }),
  };
}

export function restore(name: string, status?: RestoreStatus): Restore {
  return {
    apiVersion: API_VERSION,
    kind: 'Restore',
    metadata: { namespace: NAMESPACE, name },
    spec: { checkpointRef: { name: 'redis-1' } },
    ...(status === undefined ? {} : { status }),
  };
}

export const STORED: CheckpointStatus = {
  conditions: [condition('Ready', 'True', 'Completed', 'done')],
  source: { podUID: 'uid', node: 'node-a' },
  bundle: { path: 'shop/redis-1-uid', digest: 'sha256:00', bytes: 110_100_480, size: '105Mi' },
  timing: {
    startTime: '2026-11-27T12:00:00Z',
    completionTime: '2026-11-27T12:00:02Z',
    freezeMillis: 12.5,
    freeze: '12.5ms',
  },
};

export function storing(bytesDone: number, bytesTotal = 100 * 2 ** 20): CheckpointStatus {
  return {
    conditions: [condition('Ready', 'False', 'Storing')],
    source: { podUID: 'uid', node: 'node-a' },
    progress: { stage: 'saving-pages', bytesDone, bytesTotal },
  };
}

export const REFUSAL: Report = {
  severity: 'refusal',
  code: 'Terminal',
  container: 'redis',
  pid: 7,
  message: '/dev/pts/0: terminals are not saved; start the program without tty',
};

export const LOSS: Report = {
  severity: 'loss',
  code: 'EstablishedTcp',
  container: 'redis',
  pid: 0,
  message: '3 established connections will be reset',
};

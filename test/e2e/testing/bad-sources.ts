// Pods and stores of which something stands in the way of a Checkpoint.
import assert from 'node:assert/strict';
import { ANNOTATIONS } from '../../../crds/names.ts';
import { API_VERSION } from '../../../crds/meta.ts';
import { toYaml } from '../../../deploy/demo/manifests.ts';
import { ODD_IMAGE } from './odd-images.ts';
import type { Scene } from './scene.ts';
import { SpecialVolume } from './special-volume.ts';
import { ballast, type PodManifest, PYTHON_IMAGE, witness } from './witness.ts';

/** Memory of 24 MiB, and as much again in files that do not compress. */
export const heavy = ballast(24, {
  container: {
    lifecycle: {
      postStart: {
        exec: {
          command: [
            '/usr/bin/python3',
            '-c',
            'import os; open("/work/blob", "wb").write(os.urandom(24 << 20))',
          ],
        },
      },
    },
  },
});

/** Stores `tiny`, `small`, `read-only`, `read-many`, `unbound` and `no-claim`. */
export async function prepareVolumes(scene: Scene, stack: AsyncDisposableStack): Promise<void> {
  const nodeName = 'node-a';
  const volumes = [
    { name: 'tiny', sizeMebibytes: 8 },
    { name: 'small', sizeMebibytes: 40 },
    { name: 'read-only', sizeMebibytes: 40, readOnly: true },
    { name: 'read-many', sizeMebibytes: 40, accessMode: 'ReadOnlyMany' },
  ] as const;
  for (const volume of volumes) {
    stack.use(await SpecialVolume.create(scene, { nodeName, ...volume }));
  }
  const unbound = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'unbound' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'nobody-provides-it',
      resources: { requests: { storage: '1Gi' } },
    },
  };
  const storeOf = (name: string, claimName: string) => ({
    apiVersion: API_VERSION,
    kind: 'CheckpointStore',
    metadata: { name, annotations: { [ANNOTATIONS.isDefaultStore]: 'false' } },
    spec: { persistentVolumeClaim: { claimName } },
  });
  await scene.kubectl.apply(
    toYaml(unbound, storeOf('unbound', 'unbound'), storeOf('no-claim', 'none')),
  );
}

/** Pods that never become ready. */
export function uselessPods(): readonly object[] {
  const command = ['/usr/bin/python3', '-c', ''];
  const { metadata, spec } = witness({
    name: 'ended',
    container: { image: PYTHON_IMAGE, command },
  });
  const { nodeName: _nowhere, ...anywhere } = witness().spec;
  return [
    { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, restartPolicy: 'Never' } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'unschedulable' },
      spec: { ...anywhere, nodeSelector: { nowhere: 'true' } },
    },
  ];
}

/** One container with an io_uring, which the default seccomp profile forbids, and one of another word size. */
export function oddPod(): PodManifest {
  const manifest = witness({ name: 'odd' });
  const [main] = manifest.spec.containers;
  assert.ok(main);
  const securityContext = { seccompProfile: { type: 'Unconfined' } };
  const containers = [
    { ...main, name: 'io-uring', image: ODD_IMAGE, securityContext },
    { ...main, name: 'compat', image: ODD_IMAGE, command: ['/compat'], securityContext },
  ];
  return { ...manifest, spec: { ...manifest.spec, containers } };
}

export function hostPidPod(): PodManifest {
  return witness({ name: 'host-pid', spec: { hostPID: true } });
}

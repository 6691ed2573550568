// A restored pod is no stronger than the one that was saved, whatever a Restore asks for.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readDefinition, schemaOf } from '../../crds/testing/structural-schema.ts';
import { LABELS } from '../../crds/names.ts';
import type { PodOverrides } from '../../crds/restore.ts';
import type { Pod, PodSpec } from '../cluster/pod.ts';
import {
  checkpoint,
  container,
  INIT_IMAGE,
  NAMESPACE,
  pod,
  restore,
  storedStatus,
} from '../testing/builders.ts';
import { placeholderPod } from './pod.ts';
import { podTemplate } from './template.ts';

/** What a restore has to change in the pod's own part of the template; all of it is looked at here or in pod.test.ts. */
const CHANGED: readonly string[] = [
  'containers',
  'initContainers',
  'volumes',
  'nodeName',
  'nodeSelector',
  'affinity',
  'hostname',
  'readinessGates',
];

const GREEDY = {
  labels: { [LABELS.role]: 'agent', app: 'other' },
  annotations: { 'diapause.dev/claim': 'x' },
  env: [{ name: 'LD_PRELOAD', value: '/tmp/x.so' }],
  resources: [{ limits: { memory: '1Gi' } }],
  nodeSelector: { disk: 'ssd' },
  // Not in the schema, so nobody gets it past the API server; if somebody did:
  serviceAccountName: 'admin',
  securityContext: { runAsUser: 0 },
  hostPID: true,
  containers: [{ name: 'more', securityContext: { privileged: true } }],
} as PodOverrides;

const CONFINED = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
};

function source(): Pod {
  const more = {
    serviceAccountName: 'redis',
    automountServiceAccountToken: false,
    securityContext: { runAsUser: 999, fsGroup: 1000 },
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
    restartPolicy: 'OnFailure',
  } as Partial<PodSpec>;
  const mounts = [{ name: 'data', mountPath: '/data' }];
  return pod({
    containers: [container({ securityContext: CONFINED, volumeMounts: mounts })],
    initContainers: [
      container({ name: 'proxy', restartPolicy: 'Always', securityContext: CONFINED }),
    ],
    ...more,
  });
}

function restored(imageVolume: boolean): Pod {
  const saved = source();
  return placeholderPod({
    restore: restore({ target: { newPod: { name: 'x', overrides: GREEDY } } }),
    checkpoint: checkpoint({}, { ...storedStatus(saved), podTemplate: podTemplate(saved) }),
    features: { imageVolume, containerRestartPolicy: true },
    initImage: INIT_IMAGE,
  });
}

for (const imageVolume of [true, false]) {
  describe(`a restored pod, init by ${imageVolume ? 'image volume' : 'init container'}`, () => {
    const made = restored(imageVolume);
    const before = source().spec;

    it('stays in its namespace and keeps its service account', () => {
      assert.equal(made.metadata.namespace, NAMESPACE);
      const { serviceAccountName } = made.spec as { serviceAccountName?: string };
      assert.equal(serviceAccountName, 'redis');
      assert.equal(made.spec.automountServiceAccountToken, false);
    });

    it('has every other field of the pod as it was, and no new one', () => {
      const rest = (spec: PodSpec) =>
        Object.fromEntries(Object.entries(spec).filter(([name]) => !CHANGED.includes(name)));
      assert.deepEqual(rest(made.spec), rest(before));
    });

    it('has every container confined as it was', () => {
      const all = [...made.spec.containers, ...(made.spec.initContainers ?? [])];
      for (const old of [...before.containers, ...(before.initContainers ?? [])]) {
        const now = all.find(({ name }) => name === old.name);
        assert.deepEqual(now?.securityContext, old.securityContext, old.name);
      }
      const added = all.filter(
        ({ name }) =>
          ![...before.containers, ...(before.initContainers ?? [])].some((o) => o.name === name),
      );
      assert.equal(added.length, imageVolume ? 0 : 1);
      for (const { securityContext } of added) {
        const { allowPrivilegeEscalation, capabilities, runAsNonRoot } = securityContext as {
          allowPrivilegeEscalation?: boolean;
          capabilities?: object;
          runAsNonRoot?: boolean;
        };
        assert.equal(allowPrivilegeEscalation, false);
        assert.equal(runAsNonRoot, true);
        assert.deepEqual(capabilities, { drop: ['ALL'] });
      }
    });

    it('has no volume more than the one that brings the init', () => {
      const added = (made.spec.volumes ?? []).filter(
        ({ name }) => !before.volumes?.some((old) => old.name === name),
      );
      assert.deepEqual(
        added.map((volume) => Object.keys(volume).toSorted()),
        [['name', imageVolume ? 'image' : 'emptyDir'].toSorted()],
      );
    });

    it('cannot pass for one of the operator’s own', () => {
      assert.equal(made.metadata.labels?.[LABELS.role], 'restored');
    });
  });
}

describe('what a Restore may override', () => {
  it('is no service account, no privilege, no volume', () => {
    const spec = schemaOf(readDefinition('restore.yaml')).properties?.['spec'];
    const newPod = spec?.properties?.['target']?.properties?.['newPod'];
    const overrides = newPod?.properties?.['overrides']?.properties ?? {};
    assert.deepEqual(Object.keys(overrides).toSorted(), [
      'annotations',
      'env',
      'labels',
      'nodeSelector',
      'resources',
    ]);
  });
});

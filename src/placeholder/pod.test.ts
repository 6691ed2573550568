// The template changes of a restore, one by one, and that nothing else changes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { NewPod } from '../../crds/restore.ts';
import type { Pod, PodSpec } from '../cluster/pod.ts';
import {
  checkpoint,
  container,
  INIT_IMAGE,
  pod,
  restore,
  storedStatus,
} from '../testing/builders.ts';
import type { PlaceholderFeatures } from './features.ts';
import { placeholderObjections, placeholderPod } from './pod.ts';
import { podTemplate } from './template.ts';

const NEW: PlaceholderFeatures = { imageVolume: true, containerRestartPolicy: true };
const OLD: PlaceholderFeatures = { imageVolume: false, containerRestartPolicy: false };

function saved(source: Pod): Checkpoint {
  return checkpoint({}, { ...storedStatus(source), podTemplate: podTemplate(source) });
}

function placeholder(source: Pod, newPod: NewPod = {}, features = NEW): Pod {
  return placeholderPod({
    restore: restore({ target: { newPod } }),
    checkpoint: saved(source),
    features,
    initImage: INIT_IMAGE,
  });
}

const MOUNT = { name: 'diapause-init', mountPath: '/diapause', readOnly: true };

describe('placeholderPod', () => {
  it('puts the init in place of the application', () => {
    const source = pod({
      containers: [
        container({
          command: ['redis-server'],
          args: ['--save', ''],
          lifecycle: { postStart: { exec: {} }, preStop: { exec: {} } },
          startupProbe: { httpGet: {} },
          livenessProbe: { httpGet: {} },
        }),
      ],
    });
    const made = placeholder(source);
    assert.deepEqual(made.spec.containers, [
      {
        name: 'main',
        image: `docker.io/library/redis@sha256:${'d1'.repeat(32)}`,
        imagePullPolicy: 'IfNotPresent',
        command: ['/diapause/init'],
        lifecycle: { preStop: { exec: {} } },
        livenessProbe: { httpGet: {} },
        startupProbe: {
          exec: { command: ['/diapause/init', 'check'] },
          periodSeconds: 1,
          timeoutSeconds: 5,
          failureThreshold: 720,
        },
        volumeMounts: [MOUNT],
        restartPolicy: 'Never',
      },
    ]);
    assert.deepEqual(made.spec.volumes, [
      { name: 'diapause-init', image: { reference: INIT_IMAGE, pullPolicy: 'IfNotPresent' } },
    ]);
    assert.deepEqual(made.spec.readinessGates, [{ conditionType: 'diapause.dev/restored' }]);
    assert.equal(made.spec.initContainers, undefined);
    const replaced: unknown = JSON.parse(
      made.metadata.annotations?.['diapause.dev/replaced'] ?? '',
    );
    assert.deepEqual(replaced, {
      main: {
        command: ['redis-server'],
        args: ['--save', ''],
        startupProbe: { httpGet: {} },
        postStart: { exec: {} },
      },
    });
  });

  it('brings the init by an emptyDir where there are no image volumes', () => {
    const made = placeholder(pod(), {}, OLD);
    const [installer] = made.spec.initContainers ?? [];
    assert.equal(made.spec.initContainers?.length, 1);
    assert.deepEqual(installer?.command, ['/init', 'install', '/diapause/init']);
    assert.equal(installer?.image, INIT_IMAGE);
    assert.deepEqual(installer?.securityContext, {
      runAsNonRoot: true,
      runAsUser: 65532,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
    assert.deepEqual(made.spec.volumes, [
      { name: 'diapause-init', emptyDir: { sizeLimit: '1Mi' } },
    ]);
  });

  it('is never restarted as an empty placeholder', () => {
    assert.equal(placeholder(pod()).spec.restartPolicy, 'Always');
    assert.equal(placeholder(pod()).spec.containers[0]?.restartPolicy, 'Never');
    assert.equal(placeholder(pod(), {}, OLD).spec.restartPolicy, 'Never');
    assert.equal(placeholder(pod(), {}, OLD).spec.containers[0]?.restartPolicy, undefined);
    const once = placeholder(pod({ restartPolicy: 'Never' }));
    assert.equal(once.spec.containers[0]?.restartPolicy, undefined);
  });

  it('drops init containers that have run and keeps sidecars as placeholders', () => {
    const made = placeholder(withSidecar());
    assert.deepEqual(
      made.spec.initContainers?.map((c) => [c.name, c.command, c.restartPolicy]),
      [['proxy', ['/diapause/init'], 'Always']],
    );
    const [proxy] = made.spec.initContainers ?? [];
    assert.equal(proxy?.startupProbe, undefined, 'it would hold the other containers back');
    assert.deepEqual(proxy?.livenessProbe, { httpGet: {}, initialDelaySeconds: 720 });
    assert.deepEqual(proxy?.readinessProbe?.exec?.command, ['/diapause/init', 'check']);
  });

  it('leaves containers alone that were not saved', () => {
    const source = pod({ containers: [container(), container({ name: 'other', args: ['x'] })] });
    const stored = saved(source);
    const only = stored.status?.containers?.filter(({ name }) => name === 'main') ?? [];
    const made = placeholderPod({
      restore: restore(),
      checkpoint: { ...stored, status: { ...stored.status, containers: only } },
      features: NEW,
      initImage: INIT_IMAGE,
    });
    assert.deepEqual(made.spec.containers[1], container({ name: 'other', args: ['x'] }));
  });

  it('lets admission bring a new service account token', () => {
    const token = { name: 'kube-api-access-x1', mountPath: '/var/run/secrets/x' };
    const data = { name: 'data', mountPath: '/data' };
    const source = pod({
      containers: [container({ volumeMounts: [token, data] })],
      volumes: [{ name: 'kube-api-access-x1' }, { name: 'data', emptyDir: {} }],
    });
    const made = placeholder(source);
    assert.deepEqual(made.spec.containers[0]?.volumeMounts, [data, MOUNT]);
    assert.deepEqual(
      made.spec.volumes?.map((v) => v.name),
      ['data', 'diapause-init'],
    );
  });

  it('keeps the host name the application has seen', () => {
    assert.equal(placeholder(pod()).spec.hostname, 'redis');
    assert.equal(placeholder(pod({ hostname: 'db' })).spec.hostname, 'db');
    const shared = { hostNetwork: true } as Partial<PodSpec>;
    assert.equal(placeholder(pod(shared)).spec.hostname, undefined);
  });

  it('has the name of the Restore unless another is asked for', () => {
    assert.equal(placeholder(pod()).metadata.name, 'redis-back');
    assert.equal(placeholder(pod(), { name: 'redis-b' }).metadata.name, 'redis-b');
  });

  it('goes to a node of the right architecture, or to the one named', () => {
    const anywhere = placeholder(pod({ nodeSelector: { disk: 'ssd' } }));
    assert.equal(anywhere.spec.nodeName, undefined);
    assert.equal(anywhere.spec.affinity, undefined);
    assert.deepEqual(anywhere.spec.nodeSelector, { disk: 'ssd', 'kubernetes.io/arch': 'amd64' });
    const there = placeholder(pod(), { nodeName: 'node-b' });
    assert.deepEqual(required(there), [
      { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-b'] }] },
    ]);
    const terms = [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }];
    const affine = pod({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
        },
      },
    });
    assert.deepEqual(required(placeholder(affine, { nodeName: 'node-b' })), [
      { ...terms[0], matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-b'] }] },
    ]);
  });

  it('differs where the overrides say so', () => {
    const source = pod({
      containers: [
        container({ env: [{ name: 'A', value: '1' }], resources: { limits: { memory: '1Gi' } } }),
        container({ name: 'other', image: 'other' }),
      ],
    });
    const made = placeholder(source, {
      overrides: {
        labels: { app: 'copy', 'diapause.dev/role': 'agent' },
        annotations: { note: 'x' },
        env: [
          { name: 'A', value: '2' },
          { container: 'main', name: 'B', value: '3' },
        ],
        resources: [{ container: 'main', limits: { cpu: 1 } }],
        nodeSelector: { disk: 'ssd' },
      },
    });
    assert.equal(made.metadata.labels?.['app'], 'copy');
    assert.equal(
      made.metadata.labels?.['diapause.dev/role'],
      'restored',
      'ours is not theirs to set',
    );
    assert.equal(made.metadata.annotations?.['note'], 'x');
    assert.deepEqual(made.spec.containers[0]?.env, [
      { name: 'A', value: '2' },
      { name: 'B', value: '3' },
    ]);
    assert.deepEqual(made.spec.containers[1]?.env, [{ name: 'A', value: '2' }]);
    assert.deepEqual(made.spec.containers[0]?.resources, { limits: { memory: '1Gi', cpu: 1 } });
    assert.equal(made.spec.nodeSelector?.['disk'], 'ssd');
  });

  it('drops what scheduler and admission decided for the saved pod, and nothing else', () => {
    const decided = {
      priority: 0,
      preemptionPolicy: 'PreemptLowerPriority',
      overhead: {},
      ephemeralContainers: [],
      schedulingGates: [],
    };
    const kept = {
      priorityClassName: 'high',
      serviceAccountName: 'redis',
      securityContext: { runAsUser: 999, fsGroup: 1000 },
      tolerations: [{ operator: 'Exists' }],
      dnsPolicy: 'ClusterFirst',
      terminationGracePeriodSeconds: 30,
    };
    const made = placeholder(pod({ ...decided, ...kept } as Partial<PodSpec>));
    const fields = made.spec as unknown as Record<string, unknown>;
    for (const name of Object.keys(decided)) {
      assert.equal(fields[name], undefined, name);
    }
    for (const [name, value] of Object.entries(kept)) {
      assert.deepEqual(fields[name], value);
    }
  });

  it('can be made of a pod that was restored before', () => {
    const once = placeholder(pod({ containers: [container({ command: ['redis-server'] })] }));
    const running: Pod = {
      ...pod(),
      metadata: once.metadata,
      spec: { ...once.spec, nodeName: 'node-b' },
    };
    const twice = placeholder(running);
    assert.deepEqual(twice.spec, once.spec);
    assert.deepEqual(twice.metadata, once.metadata);
  });
});

describe('placeholderObjections', () => {
  it('finds none in an ordinary pod', () => {
    assert.deepEqual(placeholderObjections(saved(pod()), restore()), []);
  });

  it('names containers that do not exist and mounts in the way', () => {
    const mount = { name: 'data', mountPath: '/diapause' };
    const stored = saved(pod({ containers: [container({ volumeMounts: [mount] })] }));
    const env = [{ container: 'none', name: 'A', value: '' }];
    const objections = placeholderObjections(
      stored,
      restore({ target: { newPod: { overrides: { env } } } }),
    );
    assert.equal(objections.length, 2);
    assert.match(objections[0] ?? '', /none/);
    assert.match(objections[1] ?? '', /main.*\/diapause/);
  });
});

function required(made: Pod): unknown {
  return made.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
    ?.nodeSelectorTerms;
}

function withSidecar(): Pod {
  const source = pod({
    initContainers: [
      container({ name: 'migrate', image: 'tools' }),
      container({
        name: 'proxy',
        image: 'proxy',
        restartPolicy: 'Always',
        startupProbe: { httpGet: {} },
        livenessProbe: { httpGet: {} },
      }),
    ],
  });
  const statuses = [
    ...(source.status?.containerStatuses ?? []),
    ...(source.status?.initContainerStatuses ?? []).filter(({ name }) => name === 'proxy'),
  ];
  return { ...source, status: { ...source.status, containerStatuses: statuses } };
}

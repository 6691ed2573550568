// Migrations that the API server must refuse; see refused.ts.
import { completeMigrations, shortMigration } from './migration-samples.ts';

function migration(spec: object): object {
  return { ...shortMigration, spec: { ...shortMigration.spec, ...spec } };
}

function changedMigration(spec: object): { before: object; object: object } {
  const before = { ...completeMigrations[0], metadata: { name: 'changed' } };
  return { before, object: { ...before, spec: { ...before.spec, ...spec } } };
}

export const REFUSED_MIGRATIONS = [
  {
    what: 'a Migration without a target',
    kind: 'Migration',
    by: 'schema',
    object: { ...shortMigration, spec: { podRef: { name: 'redis' } } },
    says: 'spec.target',
  },
  {
    what: 'a Migration to two targets',
    kind: 'Migration',
    by: 'cel',
    object: migration({ target: { nodeName: 'node-b', any: {} } }),
    says: 'target needs exactly one of nodeName, nodeSelector and any',
  },
  {
    what: 'a Migration to nowhere',
    kind: 'Migration',
    by: 'cel',
    object: migration({ target: {} }),
    says: 'target needs exactly one of nodeName, nodeSelector and any',
  },
  {
    what: 'an unknown strategy',
    kind: 'Migration',
    by: 'schema',
    object: migration({ strategy: 'Teleport' }),
    says: 'spec.strategy',
  },
  {
    what: 'a bandwidth without a stream',
    kind: 'Migration',
    by: 'cel',
    object: migration({ bandwidth: '10Mi' }),
    says: 'use it with strategy: Direct or PreCopy',
  },
  {
    what: 'a stream through a store',
    kind: 'Migration',
    by: 'cel',
    object: migration({ strategy: 'Direct', storeRef: { name: 'default' } }),
    says: 'strategies Direct and PreCopy use no store',
  },
  {
    what: 'a stream that is to be retained',
    kind: 'Migration',
    by: 'cel',
    object: migration({ strategy: 'Direct', checkpointPolicy: 'Retain' }),
    says: 'strategies Direct and PreCopy store no bundle',
  },
  {
    what: 'a bandwidth of nothing',
    kind: 'Migration',
    by: 'schema',
    object: migration({ strategy: 'Direct', bandwidth: '0' }),
    says: 'spec.bandwidth',
  },
  {
    what: 'a new pod of the same name',
    kind: 'Migration',
    by: 'cel',
    object: migration({ newPodName: 'redis' }),
    says: 'newPodName cannot be the name of the pod itself',
  },
  {
    what: 'a Migration to another target',
    kind: 'Migration',
    by: 'cel',
    ...changedMigration({ target: { nodeName: 'node-c' } }),
    says: 'target cannot be changed',
  },
  {
    what: 'a Migration of another pod',
    kind: 'Migration',
    by: 'cel',
    ...changedMigration({ podRef: { name: 'other' } }),
    says: 'podRef cannot be changed',
  },
] as const;

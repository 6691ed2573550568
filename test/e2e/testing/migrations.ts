// Migrations of a scene: asked for with kubectl, followed to their end.
import { API_VERSION } from '../../../crds/meta.ts';
import type { Migration, MigrationSpec } from '../../../crds/migration.ts';
import { toYaml } from '../../../deploy/demo/manifests.ts';
import { isConditionTrue } from '../../../kube/conditions.ts';
import { RESOURCE_TYPES } from '../../../src/cluster/types.ts';
import { eventually } from './eventually.ts';
import type { Scene } from './scene.ts';

const END_MILLIS = 180_000;

export async function migrate(scene: Scene, name: string, spec: MigrationSpec): Promise<void> {
  const metadata = { name };
  const manifest = { apiVersion: API_VERSION, kind: 'Migration', metadata, spec };
  await scene.kubectl.apply(toYaml(manifest));
}

/** @returns the Migration once `accept` likes it */
export async function untilMigration(
  scene: Scene,
  name: string,
  what: string,
  accept: (migration: Migration) => boolean,
): Promise<Migration> {
  const { client } = scene.cluster;
  const migrations = client.resource<Migration>(RESOURCE_TYPES.migrations);
  const read = () => migrations.find({ namespace: scene.namespace, name });
  const found = await eventually(
    `Migration ${name}: ${what}`,
    read,
    (migration) => migration !== undefined && accept(migration),
    END_MILLIS,
  );
  return found as Migration;
}

export const isOver = ({ status }: Migration): boolean =>
  isConditionTrue(status?.conditions, 'Ready') || isConditionTrue(status?.conditions, 'Failed');

/** How far the program of `ballast` has counted, as its log says. */
export async function beats(scene: Scene, pod: string): Promise<number> {
  const log = await scene.kubectl.run(['logs', pod, '--tail=1']);
  return Number(/^beats (\d+)/.exec(log)?.[1] ?? 0);
}

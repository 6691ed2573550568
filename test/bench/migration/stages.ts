// What the agents' logs say of a migration: how long each stage of its tasks took.
import { OPERATOR_NAMESPACE } from '../../../crds/names.ts';
import type { Scene } from '../../e2e/testing/scene.ts';

interface Ended {
  readonly msg: string;
  readonly task: string;
  readonly time: string;
  readonly node: string;
  readonly stageMillis?: Readonly<Record<string, number>>;
}

/** One line for each task that has ended since. */
export async function stagesOf(scene: Scene, since: Date): Promise<string[]> {
  const selector = 'app.kubernetes.io/name=diapause-agent';
  const log = await scene.cluster
    .kubectl(OPERATOR_NAMESPACE)
    .run(['logs', `--selector=${selector}`, '--tail=400']);
  return log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Ended)
    .filter(({ msg, time }) => msg === 'task ended' && time >= since.toISOString())
    .toSorted((a, b) => (a.time < b.time ? -1 : 1))
    .map(({ task, node, time, stageMillis = {} }) => {
      const stages = Object.entries(stageMillis).map(([stage, millis]) => `${stage} ${millis}`);
      return `${time} ${node} ${task}: ${stages.join(', ')}`;
    });
}

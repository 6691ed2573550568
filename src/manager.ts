// Connects caches, reconcilers and queues: everything the leader runs, given a way to the API server.
import type { TypedObject } from '../crds/meta.ts';
import { LABELS, OPERATOR_NAMESPACE } from '../crds/names.ts';
import type { Client } from '../kube/client.ts';
import { type Clock, systemClock } from '../kube/clock.ts';
import { Controller, type ControllerHooks } from '../kube/controller.ts';
import { ListWatch, type ListWatchCounters } from '../kube/list-watch.ts';
import type { Resource } from '../kube/resource.ts';
import type { Selection } from '../kube/resource-types.ts';
import { AgentReconciler } from './agent/reconciler.ts';
import { isFinishedCheckpoint } from './checkpoint/facts.ts';
import { CheckpointReconciler } from './checkpoint/reconciler.ts';
import { GroupReconciler } from './checkpoint-group/reconciler.ts';
import { ScheduleReconciler } from './checkpoint-schedule/reconciler.ts';
import { StoreReconciler } from './checkpoint-store/reconciler.ts';
import {
  hasRole,
  madeByKey,
  makerKey,
  ownerKey,
  ownKey,
  queuedBehind,
  restoresOf,
  tasksOf,
  tasksOfAgent,
  waitingForHolder,
} from './cluster/keys-of.ts';
import { drainWatchers, scheduleKey } from './checkpoint-schedule/keys-of.ts';
import { type ClusterResources, RESOURCE_TYPES } from './cluster/types.ts';
import { ClusterView } from './cluster/view.ts';
import { HolderReconciler } from './holder/reconciler.ts';
import { MigrationReconciler } from './migration/reconciler.ts';
import { NodeTaskReconciler } from './node-task/reconciler.ts';
import type { Listener } from './observability/listener.ts';
import { isFinishedRestore } from './restore/facts.ts';
import { RestoreReconciler } from './restore/reconciler.ts';

export interface ManagerOptions {
  readonly client: Client;
  /** of the API server, as in `v1.37.2` */
  readonly serverVersion: string;
  readonly listener: Listener;
  readonly hooks?: ControllerHooks;
  readonly onWatchError?: (error: unknown, kind: string, stage: string) => void;
  readonly clock?: Clock;
}

type Watches = ReturnType<typeof listWatches>;
type Started = { readonly name: string; run(signal: AbortSignal): Promise<void> };

export class Manager {
  readonly #watches: Watches;
  readonly #controllers: ReturnType<typeof controllers>;

  constructor(options: ManagerOptions) {
    const resources = clusterResources(options.client);
    this.#watches = listWatches(resources, options);
    const { checkpoints, migrations, tasks, pods } = this.#watches;
    const view = new ClusterView(
      resources,
      { checkpoints, migrations, tasks, pods },
      options.clock ?? systemClock,
    );
    this.#controllers = controllers(view, this.#watches, options);
  }

  /** Works until `signal` aborts, then ends what is under way. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const all: readonly Started[] = [...Object.values(this.#watches), ...this.#controllers];
    await Promise.all(all.map((part) => part.run(signal)));
  }

  /** keys waiting, by controller */
  queueDepths(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#controllers.map(({ name, queue }) => [name, queue.depth]));
  }

  /** what lists and watches went through so far, by kind */
  watchCounters(): Readonly<Record<string, Readonly<ListWatchCounters>>> {
    return Object.fromEntries(
      Object.values(this.#watches).map(({ name, counters }) => [name, counters]),
    );
  }
}

function clusterResources(client: Client): ClusterResources {
  return {
    checkpoints: client.resource(RESOURCE_TYPES.checkpoints),
    restores: client.resource(RESOURCE_TYPES.restores),
    checkpointGroups: client.resource(RESOURCE_TYPES.checkpointGroups),
    checkpointSchedules: client.resource(RESOURCE_TYPES.checkpointSchedules),
    migrations: client.resource(RESOURCE_TYPES.migrations),
    checkpointStores: client.resource(RESOURCE_TYPES.checkpointStores),
    nodeTasks: client.resource(RESOURCE_TYPES.nodeTasks),
    pods: client.resource(RESOURCE_TYPES.pods),
    nodes: client.resource(RESOURCE_TYPES.nodes),
    claims: client.resource(RESOURCE_TYPES.claims),
    volumes: client.resource(RESOURCE_TYPES.volumes),
    namespaces: client.resource(RESOURCE_TYPES.namespaces),
    events: client.resource(RESOURCE_TYPES.events),
    storageClasses: client.resource(RESOURCE_TYPES.storageClasses),
    replicaSets: client.resource(RESOURCE_TYPES.replicaSets),
    statefulSets: client.resource(RESOURCE_TYPES.statefulSets),
    jobs: client.resource(RESOURCE_TYPES.jobs),
    mutatingPolicies: client.resource(RESOURCE_TYPES.mutatingPolicies),
    mutatingPolicyBindings: client.resource(RESOURCE_TYPES.mutatingPolicyBindings),
  };
}

function listWatches(resources: ClusterResources, { onWatchError }: ManagerOptions) {
  const watch = <T extends TypedObject>(
    resource: Resource<T>,
    selection: Selection = {},
  ): ListWatch<T> =>
    new ListWatch<T>({
      resource,
      onError: (error, stage) => onWatchError?.(error, resource.type.plural, stage),
      ...selection,
    });
  return {
    checkpoints: watch(resources.checkpoints),
    restores: watch(resources.restores),
    groups: watch(resources.checkpointGroups),
    schedules: watch(resources.checkpointSchedules),
    migrations: watch(resources.migrations),
    stores: watch(resources.checkpointStores),
    tasks: watch(resources.nodeTasks, { namespace: OPERATOR_NAMESPACE }),
    pods: watch(resources.pods, { labelSelector: LABELS.role }),
    // Few at most, however large the cluster.
    cordonedNodes: watch(resources.nodes, { fieldSelector: 'spec.unschedulable=true' }),
  };
}

function controllers(view: ClusterView, watches: Watches, options: ManagerOptions) {
  const { listener, serverVersion, hooks = {} } = options;
  const { checkpoints, restores, migrations, stores, tasks, pods } = watches;
  const checkpoint = new Controller({
    name: 'checkpoint',
    reconciler: new CheckpointReconciler(view, listener),
    hooks,
  });
  checkpoint.watches(checkpoints, ownKey);
  checkpoint.watches(checkpoints, queuedBehind(checkpoints));
  checkpoint.watches(tasks, ownerKey('Checkpoint'));
  checkpoint.watches(pods, waitingForHolder(checkpoints, isFinishedCheckpoint));

  const restore = new Controller({
    name: 'restore',
    reconciler: new RestoreReconciler(view, listener, serverVersion),
    hooks,
  });
  restore.watches(restores, ownKey);
  restore.watches(checkpoints, restoresOf(restores));
  restore.watches(tasks, ownerKey('Restore'));
  restore.watches(pods, makerKey);
  restore.watches(pods, waitingForHolder(restores, isFinishedRestore));

  const migration = new Controller({
    name: 'migration',
    reconciler: new MigrationReconciler(view, listener),
    hooks,
  });
  migration.watches(migrations, ownKey);
  migration.watches(checkpoints, madeByKey('Migration'));
  migration.watches(restores, madeByKey('Migration'));

  const store = new Controller({
    name: 'checkpoint-store',
    reconciler: new StoreReconciler(view, listener),
    hooks,
  });
  store.watches(stores, ownKey);

  const schedule = new Controller({
    name: 'checkpoint-schedule',
    reconciler: new ScheduleReconciler(view, watches, listener),
    hooks,
  });
  schedule.watches(watches.schedules, ownKey);
  schedule.watches(checkpoints, scheduleKey(watches.schedules));
  schedule.watches(watches.cordonedNodes, drainWatchers(watches.schedules));

  const sweep = new Controller({
    name: 'node-task',
    reconciler: new NodeTaskReconciler(view),
    hooks,
  });
  sweep.watches(tasks, ownKey);
  sweep.watches(checkpoints, tasksOf(tasks));
  sweep.watches(restores, tasksOf(tasks));

  sweep.watches(pods, tasksOfAgent(tasks));

  const others = otherControllers(view, watches, options);
  return [checkpoint, restore, migration, store, schedule, sweep, ...others] as const;
}

function otherControllers(view: ClusterView, watches: Watches, options: ManagerOptions) {
  const { listener, hooks = {} } = options;
  const group = new Controller({
    name: 'checkpoint-group',
    reconciler: new GroupReconciler(view, listener),
    hooks,
  });
  group.watches(watches.groups, ownKey);
  group.watches(watches.checkpoints, madeByKey('CheckpointGroup'));

  const holder = new Controller({
    name: 'holder',
    reconciler: new HolderReconciler(view),
    hooks,
  });
  holder.watches(watches.pods, (pod) => (hasRole(pod, 'holder') ? ownKey(pod) : []));

  const agent = new Controller({
    name: 'agent',
    reconciler: new AgentReconciler(view),
    hooks,
  });
  agent.watches(watches.pods, (pod) => (hasRole(pod, 'agent') ? ownKey(pod) : []));
  return [group, holder, agent] as const;
}

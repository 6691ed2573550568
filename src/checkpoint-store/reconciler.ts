// CheckpointStore: tells whether its claim can be used, and whether it is the default.
import type { CheckpointStore, CheckpointStoreStatus } from '../../crds/checkpoint-store.ts';
import type { StoreConditionType } from '../../crds/conditions.ts';
import {
  type ActResult,
  GONE,
  type Gone,
  type ReconcileContext,
  type Reconciler,
} from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { ClusterActions } from '../cluster/actions.ts';
import { StatusBuilder } from '../cluster/status-builder.ts';
import { actionName, transitionEvents } from '../cluster/transitions.ts';
import type { ClusterView } from '../cluster/view.ts';
import type { Listener } from '../observability/listener.ts';
import { defaultStore, isDefaultStore } from './choose.ts';
import { type ClaimFacts, judgeClaim } from './claim.ts';

/** Claims are not watched: a store that is not ready is looked at soon again. */
const WAITING_MILLIS = 5_000;
const READY_MILLIS = 60_000;

export interface StoreFacts {
  readonly nowMillis: number;
  readonly store: CheckpointStore;
  readonly claim: ClaimFacts;
  /** all of the namespace */
  readonly stores: readonly CheckpointStore[];
}

export interface StoreDecision {
  readonly store: CheckpointStore;
  readonly status: CheckpointStoreStatus;
  readonly ready: boolean;
}

/** Pure. */
export function decideStore(facts: StoreFacts): StoreDecision {
  const { store, claim, stores, nowMillis } = facts;
  const verdict = judgeClaim(claim);
  type Status = CheckpointStoreStatus & { readonly phase?: string };
  const next = new StatusBuilder<Status, StoreConditionType>(
    store.metadata,
    store.status ?? {},
    nowMillis,
  );
  const chosen = defaultStore(stores);
  const shadowed = isDefaultStore(store) && chosen?.metadata.uid !== store.metadata.uid;
  const note = shadowed ? `; not the default, "${chosen?.metadata.name}" is newer` : '';
  next.condition('Ready', verdict.usable ? 'True' : 'False', verdict.reason, verdict.facts + note);
  const capacity = claim.claim?.status?.capacity?.storage;
  if (capacity === undefined) {
    next.drop('capacity');
  } else {
    next.set({ capacity });
  }
  const { phase: _none, ...status } = next.build(false);
  return { store, status, ready: verdict.usable };
}

export class StoreReconciler implements Reconciler<StoreFacts, StoreDecision> {
  readonly #view: ClusterView;
  readonly #listener: Listener;

  constructor(view: ClusterView, listener: Listener) {
    this.#view = view;
    this.#listener = listener;
  }

  async observe({ key, signal }: ReconcileContext): Promise<StoreFacts | Gone> {
    const { resources, clock } = this.#view;
    const store = await resources.checkpointStores.find(parseKey(key), { signal });
    if (store === undefined || store.metadata.deletionTimestamp !== undefined) {
      return GONE;
    }
    const { namespace } = store.metadata;
    const { claimName } = store.spec.persistentVolumeClaim;
    const [claim, { items: stores }] = await Promise.all([
      this.#view.claim(namespace, claimName, signal),
      resources.checkpointStores.list({ namespace, signal }),
    ]);
    const nothing = { claimName, claim: undefined, storageClass: undefined };
    return { nowMillis: clock.now(), store, claim: claim ?? nothing, stores };
  }

  decide(facts: StoreFacts): StoreDecision {
    return decideStore(facts);
  }

  async act(decision: StoreDecision, { signal }: ReconcileContext): Promise<ActResult> {
    const { store, status, ready } = decision;
    const resource = this.#view.resources.checkpointStores;
    const written = await new ClusterActions(this.#view.resources, signal).applyStatus(
      resource,
      store,
      status,
    );
    if (written) {
      const { conditions } = status;
      const action = actionName('validate');
      for (const event of transitionEvents({ object: store, conditions, action, pod: undefined })) {
        this.#listener.happened(event);
      }
    }
    return { requeueAfterMillis: ready ? READY_MILLIS : WAITING_MILLIS };
  }
}

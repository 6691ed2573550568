// Volume holders for tests, as they are once they run.
import { holderPod } from '../holder/pod.ts';
import type { Pod } from '../cluster/pod.ts';
import { containerID, INIT_IMAGE, NAMESPACE, NOW } from './builders.ts';

export function holder(nodeName = 'node-a', usedSecondsAgo = 0): Pod {
  const place = { namespace: NAMESPACE, claimName: 'checkpoints', claimUid: 'pvc-1', nodeName };
  const made = holderPod(place, INIT_IMAGE, NOW - usedSecondsAgo * 1000);
  return {
    ...made,
    metadata: {
      ...made.metadata,
      uid: `holder-${nodeName}`,
      resourceVersion: '7',
      creationTimestamp: new Date(NOW - 90_000).toISOString(),
    },
    spec: { ...made.spec, nodeName },
    status: {
      phase: 'Running',
      containerStatuses: [
        { name: 'holder', containerID: containerID('cc'), state: { running: {} } },
      ],
    },
  };
}

/** The same before its container runs. */
export function startingHolder(nodeName = 'node-a', ageSeconds = 1): Pod {
  const { status: _none, ...rest } = holder(nodeName);
  const creationTimestamp = new Date(NOW - ageSeconds * 1000).toISOString();
  return { ...rest, metadata: { ...rest.metadata, creationTimestamp } };
}

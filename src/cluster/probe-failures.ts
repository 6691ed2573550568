// How many failures of a liveness or startup probe the kubelet has counted: no API tells, its events do (pure).
import { longRunningContainers, type Pod, type Probe, statusOfContainer } from './pod.ts';
import type { CoreEvent } from './types.ts';
import type { WatchingProbe } from '../freeze-limit.ts';

/** Events have whole seconds and are written a moment later. */
const LATE_MILLIS = 3_000;

/** The probes that can get one of these containers killed now, with their failures in a row, never too few. */
export function watchingProbes(
  pod: Pod,
  containers: readonly string[],
  events: readonly CoreEvent[],
  nowMillis: number,
): readonly WatchingProbe[] {
  return longRunningContainers(pod.spec)
    .filter(({ name }) => containers.includes(name))
    .flatMap(({ name, livenessProbe, startupProbe }) => {
      // The kubelet asks one of the two: startup until it has passed, then liveness.
      const started = statusOfContainer(pod, name)?.started !== false || startupProbe === undefined;
      const probe = started ? livenessProbe : startupProbe;
      const kind = started ? 'Liveness' : 'Startup';
      return probe === undefined
        ? []
        : {
            container: name,
            probe,
            failures: failuresInARow(name, kind, probe, events, nowMillis),
          };
    });
}

/** An upper bound: events of one container and kind, if the last one is younger than one period. */
function failuresInARow(
  container: string,
  kind: 'Liveness' | 'Startup',
  probe: Probe,
  events: readonly CoreEvent[],
  nowMillis: number,
): number {
  const periodMillis = (probe.periodSeconds ?? 10) * 1000;
  const freshMillis = periodMillis + (probe.timeoutSeconds ?? 1) * 1000 + LATE_MILLIS;
  const failures = events.filter(
    ({ reason, message, involvedObject }) =>
      reason === 'Unhealthy' &&
      message?.startsWith(`${kind} probe`) === true &&
      involvedObject?.fieldPath?.endsWith(`{${container}}`) === true,
  );
  const last = Math.max(...failures.map((event) => Date.parse(event.lastTimestamp ?? '')));
  if (failures.length === 0 || nowMillis - last > freshMillis) {
    return 0;
  }
  const first = Math.min(...failures.map((event) => Date.parse(event.firstTimestamp ?? '')));
  const count = failures.reduce((sum, event) => sum + (event.count ?? 1), 0);
  return Math.min(count, Math.floor((last - first) / periodMillis) + 1);
}

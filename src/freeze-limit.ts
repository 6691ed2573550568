// How long a pod may stand still without the kubelet killing a container (design K10).
// The kubelet kills after failureThreshold failures in a row. A stopped process still accepts TCP (the kernel does),
// so tcpSocket probes never notice; HTTP and gRPC probes do, exec probes do when they ask the application.
import type { Probe } from './cluster/pod.ts';

/** Longest freeze of a pod that no probe watches: clients have patience limits, too. */
export const UNWATCHED_FREEZE_MILLIS = 10_000;

/** A probe whose failures get the container killed: liveness always, startup until it has passed. */
export interface WatchingProbe {
  readonly container: string;
  readonly probe: Probe;
  /** failures in a row that the kubelet has counted so far */
  readonly failures: number;
}

export interface FreezeRequest {
  readonly probes: readonly WatchingProbe[];
  /** `spec.limits.maxFreezeSeconds` */
  readonly maxFreezeSeconds: number | undefined;
  /** set when the pod stays stopped: until it is stored (a time), or for good */
  readonly keepFrozen:
    | { readonly untilStoredMillis: number; readonly forGood: boolean }
    | undefined;
}

export type FreezeLimit =
  | { readonly millis: number }
  | { readonly refused: 'ProbeFailing' | 'FreezeLimitZero'; readonly message: string };

/** core/v1 defaults; the API server fills them in. */
const PROBE_DEFAULTS = { periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3 } as const;

/**
 * (failureThreshold - 1) x period - failures x period, for the strictest probe. A probe that tolerates no failure at
 * all still waits for its answer: half of its time-out is safe for an application that otherwise answers at once.
 */
export function freezeLimit(request: FreezeRequest): FreezeLimit {
  const watching = request.probes.filter(({ probe }) => noticesAFreeze(probe));
  const failing = watching.find((w) => w.failures > 0 && toleratedMillis(w) === 0);
  if (failing !== undefined) {
    const { container, failures } = failing;
    const message = `the liveness probe of container ${container} has failed ${failures} times in a row; one more failure gets it killed`;
    return { refused: 'ProbeFailing', message };
  }
  const tolerated = Math.min(Infinity, ...watching.map(toleratedMillis));
  const wanted = (request.maxFreezeSeconds ?? Infinity) * 1000;
  if (request.keepFrozen !== undefined) {
    const { untilStoredMillis, forGood } = request.keepFrozen;
    return tolerated === 0 || (forGood && tolerated < Infinity)
      ? { refused: 'FreezeLimitZero', message: killedAfter(tolerated) }
      : { millis: Math.floor(Math.min(untilStoredMillis, wanted, tolerated)) };
  }
  const answered = Math.min(Infinity, ...watching.map(answerMillis));
  const usual = request.maxFreezeSeconds === undefined ? UNWATCHED_FREEZE_MILLIS : Infinity;
  return { millis: Math.floor(Math.min(tolerated === 0 ? answered : tolerated, wanted, usual)) };
}

function killedAfter(toleratedMillis: number): string {
  return `the pod would have to stay frozen, but its liveness probe gets it killed after ${toleratedMillis / 1000} s`;
}

function noticesAFreeze(probe: Probe): boolean {
  return probe.httpGet !== undefined || probe.grpc !== undefined || probe.exec !== undefined;
}

function toleratedMillis({ probe, failures }: WatchingProbe): number {
  const threshold = probe.failureThreshold ?? PROBE_DEFAULTS.failureThreshold;
  const period = probe.periodSeconds ?? PROBE_DEFAULTS.periodSeconds;
  return Math.max(0, threshold - 1 - failures) * period * 1000;
}

function answerMillis({ probe }: WatchingProbe): number {
  return ((probe.timeoutSeconds ?? PROBE_DEFAULTS.timeoutSeconds) * 1000) / 2;
}

// Builds the next status of an object out of the present one: conditions, phase, and whatever fields change.
import { conditionMessage, type Reason } from '../../crds/conditions.ts';
import { type Condition, type ObjectMeta, type Report } from '../../crds/meta.ts';
import { formatTime } from '../../kube/clock.ts';
import { isConditionTrue, setCondition } from '../../kube/conditions.ts';

export interface CommonStatus {
  readonly observedGeneration?: number;
  readonly phase?: string;
  readonly conditions?: readonly Condition[];
}

/** Longest report in a status; the bundle holds all of it. */
const MAX_REPORT_ENTRIES = 32;

export class StatusBuilder<Status extends CommonStatus, Type extends string> {
  #status: Status;
  #conditions: readonly Condition[];
  readonly #metadata: ObjectMeta;
  readonly #nowMillis: number;

  constructor(metadata: ObjectMeta, status: Status, nowMillis: number) {
    this.#metadata = metadata;
    this.#status = status;
    this.#conditions = status.conditions ?? [];
    this.#nowMillis = nowMillis;
  }

  /** The status with the changes so far. */
  get status(): Status {
    return this.#status;
  }

  /** The conditions with the changes so far. */
  get conditions(): readonly Condition[] {
    return this.#conditions;
  }

  get now(): string {
    return formatTime(this.#nowMillis);
  }

  set(changes: Partial<Status>): void {
    this.#status = { ...this.#status, ...changes };
  }

  drop(field: keyof Status): void {
    const { [field]: _dropped, ...rest } = this.#status;
    // Only optional fields are ever dropped.
    this.#status = rest as Status;
  }

  /** @param facts what happened in this case; the reason's general meaning where nothing is said */
  condition(type: Type, status: Condition['status'], reason: Reason, facts?: string): void {
    const message = conditionMessage(reason, facts);
    const observedGeneration = this.#metadata.generation ?? 0;
    const update = { type, status, reason, message, observedGeneration };
    this.#conditions = setCondition(this.#conditions, update, this.#nowMillis);
  }

  /** @param running whether work goes on, for the phase that people read */
  build(running: boolean): Status {
    return {
      ...this.#status,
      observedGeneration: this.#metadata.generation ?? 0,
      phase: this.#phase(running),
      conditions: this.#conditions,
    };
  }

  #phase(running: boolean): string {
    if (this.#metadata.deletionTimestamp !== undefined) {
      return 'Deleting';
    }
    const ended = ['Failed', 'Ready'].find((type) => isConditionTrue(this.#conditions, type));
    return ended ?? (running ? 'Running' : 'Pending');
  }
}

/** Refusals first, then losses; what does not fit is in the bundle. */
export function reported(report: readonly Report[] = []): readonly Report[] {
  const order = ['refusal', 'loss', 'note'];
  return report
    .toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
    .slice(0, MAX_REPORT_ENTRIES);
}

/** `12.5ms`, `1.53s`: three digits are enough for a column. */
export function formatMillis(millis: number): string {
  const [value, unit] = millis < 1000 ? [millis, 'ms'] : [millis / 1000, 's'];
  return `${Number(value.toPrecision(3))}${unit}`;
}

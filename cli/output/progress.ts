// How far an object's work is, told while it goes on: a live bar on a terminal, plain lines elsewhere.
import { findCondition } from '../../kube/conditions.ts';
import { formatBytesRounded } from '../../kube/quantity.ts';
import type { Io } from '../io.ts';
import type { DiapauseObject } from '../kinds.ts';
import { span } from './age.ts';
import { RateMeter } from './rate-meter.ts';

/** The bar moves on its own between two pieces of news: elapsed time. */
const REDRAW_MILLIS = 200;
/** Plain lines come no more often than this while only the bytes change. */
const PLAIN_LINE_MILLIS = 10_000;
const WIPE = '\r\x1b[K';
const BAR_CELLS = { min: 10, max: 40 } as const;

export interface Progress {
  readonly label: string;
  /** of the condition Ready */
  readonly reason: string;
  readonly stage: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** What the status says about how far it is (pure). */
export function progressOf(object: DiapauseObject): Progress {
  const { stage = '', bytesDone = 0, bytesTotal = 0 } = object.status?.progress ?? {};
  return {
    label: `${object.kind.toLowerCase()}/${object.metadata.name}`,
    reason: findCondition(object.status?.conditions, 'Ready')?.reason ?? 'Pending',
    stage,
    bytesDone,
    bytesTotal,
  };
}

/** Tells of progress until disposed of. */
export interface ProgressView extends Disposable {
  show(progress: Progress): void;
  /** A line that stays, above the bar. */
  note(line: string): void;
}

export function progressView(io: Io, now: () => number = Date.now): ProgressView {
  return io.columns === undefined ? new PlainLines(io, now) : new LiveBar(io, now);
}

class PlainLines implements ProgressView {
  readonly #io: Io;
  readonly #now: () => number;
  readonly #told = new Map<string, { readonly step: string; readonly atMillis: number }>();

  constructor(io: Io, now: () => number) {
    this.#io = io;
    this.#now = now;
  }

  show(progress: Progress): void {
    const step = `${progress.reason} ${progress.stage}`;
    const told = this.#told.get(progress.label);
    const atMillis = this.#now();
    if (told?.step !== step || atMillis - told.atMillis >= PLAIN_LINE_MILLIS) {
      this.#told.set(progress.label, { step, atMillis });
      this.#io.err(`${plainLine(progress)}\n`);
    }
  }

  note(line: string): void {
    this.#io.err(`${line}\n`);
  }

  [Symbol.dispose](): void {}
}

class LiveBar implements ProgressView {
  readonly #io: Io;
  readonly #now: () => number;
  readonly #rate = new RateMeter();
  readonly #beganMillis: number;
  readonly #timer: NodeJS.Timeout;
  #progress: Progress | undefined;

  constructor(io: Io, now: () => number) {
    this.#io = io;
    this.#now = now;
    this.#beganMillis = now();
    this.#timer = setInterval(() => this.#draw(), REDRAW_MILLIS);
    this.#timer.unref();
  }

  show(progress: Progress): void {
    this.#rate.add(progress.bytesDone, this.#now());
    this.#progress = progress;
    this.#draw();
  }

  note(line: string): void {
    this.#io.err(`${WIPE}${line}\n`);
    this.#draw();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#progress !== undefined) {
      this.#io.err(WIPE);
    }
  }

  #draw(): void {
    const { columns = 80 } = this.#io;
    if (this.#progress !== undefined) {
      const elapsedMillis = this.#now() - this.#beganMillis;
      const line = barLine(this.#progress, this.#rate, { elapsedMillis, columns });
      this.#io.err(`\r${line}\x1b[K`);
    }
  }
}

/** `checkpoint/redis-1: Storing saving-pages, 12Mi of 105Mi` (pure). */
export function plainLine(progress: Progress): string {
  const { label, reason } = progress;
  const step = stepWords(progress);
  return `${label}: ${reason}${step === '' ? '' : ` ${step}`}`;
}

/** `saving-pages, 12Mi of 105Mi`, empty when nothing is known (pure). */
export function plainProgress(object: DiapauseObject): string {
  return stepWords(progressOf(object));
}

function stepWords({ stage, bytesDone, bytesTotal }: Progress): string {
  const bytes = `${formatBytesRounded(bytesDone)} of ${formatBytesRounded(bytesTotal)}`;
  return [stage, bytesTotal > 0 ? bytes : ''].filter((part) => part !== '').join(', ');
}

/** `checkpoint/redis-1  Storing saving-pages  [=====>    ]  45%  480Mi/1.1Gi  350Mi/s  2s left` (pure). */
export function barLine(
  progress: Progress,
  rate: RateMeter,
  { elapsedMillis, columns }: { readonly elapsedMillis: number; readonly columns: number },
): string {
  const { label, reason, stage, bytesDone, bytesTotal } = progress;
  const head = `${label}  ${[reason, stage].filter((part) => part !== '').join(' ')}`;
  if (bytesTotal <= 0) {
    return `${head}  ${span(elapsedMillis)}`.slice(0, columns - 1);
  }
  const share = Math.min(1, bytesDone / bytesTotal);
  const figures = [
    `${Math.floor(share * 100)}%`.padStart(4),
    `${formatBytesRounded(bytesDone)}/${formatBytesRounded(bytesTotal)}`,
    ...speed(rate, bytesTotal),
  ].join('  ');
  // The cursor stays behind the last column: one more letter would begin a new line.
  const room = columns - 1 - head.length - figures.length - '  []  '.length;
  const cells = Math.min(BAR_CELLS.max, room);
  const drawn = cells < BAR_CELLS.min ? '' : `  [${bar(share, cells)}]`;
  return `${head}${drawn}  ${figures}`.slice(0, columns - 1);
}

function speed(rate: RateMeter, bytesTotal: number): readonly string[] {
  const { bytesPerSecond } = rate;
  const left = rate.secondsLeft(bytesTotal);
  return [
    ...(bytesPerSecond === undefined
      ? []
      : [`${formatBytesRounded(Math.round(bytesPerSecond))}/s`]),
    ...(left === undefined ? [] : [`${span(Math.ceil(left) * 1000)} left`]),
  ];
}

function bar(share: number, cells: number): string {
  const full = Math.floor(share * cells);
  const tip = full < cells ? '>' : '';
  return `${'='.repeat(full)}${tip}`.padEnd(cells);
}

// What verbs that create an object have in common: dry run, output, following it to its end.
import type { TypedObject } from '../crds/meta.ts';
import type { Arguments } from './arguments/arguments.ts';
import type { OutputFormat } from './arguments/option.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { follow } from './follow.ts';
import { type DiapauseObject, type Kind, qualifiedName, refOf } from './kinds.ts';
import { printed } from './output/print.ts';
import { progressView } from './output/progress.ts';
import type { Session } from './session.ts';

const MAX_NAME_LENGTH = 63;

export interface Creation<T extends DiapauseObject> {
  readonly kind: Kind;
  readonly object: T;
  /** `saved 105Mi in 2.1s`: what became of it */
  readonly told: (ready: T) => string;
}

/**
 * Creates an object as the options say: `--dry-run`, `--no-wait`, `-o`. Without `--no-wait` it follows the
 * object's work to its end; what is printed with `-o` is the object as it is then.
 */
export async function createAndFollow<T extends DiapauseObject>(
  { kind, object, told }: Creation<T>,
  args: Arguments,
  session: Session,
): Promise<ExitCode> {
  const timeoutMillis = args.durationMillis('wait-timeout');
  const created = await create(kind, object, args, session);
  if (created !== undefined) {
    const ready = await followed<T>(session, { kind, ref: refOf(created) }, timeoutMillis);
    announce(ready, told(ready), args, session);
  }
  return EXIT.done;
}

/** @returns undefined when all is told: after a dry run, or with `--no-wait` */
export async function create<T extends DiapauseObject>(
  kind: Kind,
  object: T,
  args: Arguments,
  session: Session,
): Promise<T | undefined> {
  const dryRun = args.text('dry-run') ?? 'none';
  if (dryRun === 'client') {
    announce(object, 'created (dry run)', args, session);
    return undefined;
  }
  const resource = await session.resource<T>(kind);
  const created = await resource.create(object, {
    signal: session.signal,
    dryRun: dryRun === 'server',
  });
  if (dryRun === 'server') {
    announce(created, 'created (server dry run)', args, session);
    return undefined;
  }
  if (args.flag('no-wait')) {
    announce(created, 'created', args, session);
    return undefined;
  }
  session.io.err(`${qualifiedName(created)} created\n`);
  return created;
}

async function followed<T extends DiapauseObject>(
  session: Session,
  target: Parameters<typeof follow>[1],
  timeoutMillis: number | undefined,
): Promise<T> {
  using view = progressView(session.io);
  return await follow<T>(session, target, view, timeoutMillis);
}

/** The object in the format of `-o`, or one sentence about it. */
export function announce(
  object: TypedObject,
  sentence: string,
  args: Arguments,
  { io }: Session,
): void {
  const format = args.text('output') as OutputFormat | undefined;
  io.out(format === undefined ? `${qualifiedName(object)} ${sentence}\n` : printed(object, format));
}

/** `redis-20261127-171622`: a name that tells when, in UTC; a long stem is cut (pure). */
export function nameWithTime(stem: string, nowMillis: number): string {
  const time = new Date(nowMillis)
    .toISOString()
    .slice(0, 19)
    .replace(/[-:]/g, '')
    .replace('T', '-');
  return `${stem.slice(0, MAX_NAME_LENGTH - time.length - 1).replace(/[^a-z0-9]+$/, '')}-${time}`;
}

/** An object without the members that nobody gave: the API server fills in its defaults (pure). */
export function withoutUndefined<T extends object>(value: T): T {
  const entries = Object.entries(value).flatMap(([key, member]: [string, unknown]) => {
    const cleaned = isPlainObject(member) ? withoutUndefined(member) : member;
    const empty = cleaned === undefined || (isPlainObject(cleaned) && isEmpty(cleaned, member));
    return empty ? [] : [[key, cleaned] as const];
  });
  return Object.fromEntries(entries) as T;
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Only what became empty by leaving out: an object that was empty from the start means something (`any: {}`). */
function isEmpty(cleaned: object, original: unknown): boolean {
  return Object.keys(cleaned).length === 0 && Object.keys(original as object).length > 0;
}

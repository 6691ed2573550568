// Log lines of controller and agents: which of them are about an object (pure).

export interface LogLine {
  /** who wrote it: `controller`, `agent node-a` */
  readonly source: string;
  readonly raw: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Subject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** pino's lines; what is not JSON (a crash of Node itself) is about nothing and left out. */
export function readLines(text: string, source: string): readonly LogLine[] {
  return text.split('\n').flatMap((raw) => {
    try {
      const fields: unknown = JSON.parse(raw);
      return isRecord(fields) ? [{ source, raw, fields }] : [];
    } catch {
      return [];
    }
  });
}

/** By time. */
export function linesAbout(lines: readonly LogLine[], subject: Subject): readonly LogLine[] {
  return lines
    .filter(subjectFilter(lines, subject))
    .toSorted((a, b) => compare(timeOf(a), timeOf(b)));
}

/**
 * Agents name the owner of a task once, when it begins; afterwards only the task.
 *
 * @param known lines that may name tasks; those that are asked about later may, too
 */
export function subjectFilter(
  known: readonly LogLine[],
  subject: Subject,
): (line: LogLine) => boolean {
  const tasks = new Set<unknown>();
  const learn = ({ fields: { owner, task } }: LogLine): void => {
    if (task !== undefined && isOwner(owner, subject)) {
      tasks.add(task);
    }
  };
  known.forEach(learn);
  return (line) => {
    learn(line);
    return isAbout(line.fields, subject) || tasks.has(line.fields['task']);
  };
}

function isAbout(fields: LogLine['fields'], subject: Subject): boolean {
  const { kind, namespace, name } = subject;
  return (
    isOwner(fields, subject) ||
    isOwner(fields['owner'], subject) ||
    (fields['controller'] === kind.toLowerCase() && fields['key'] === `${namespace}/${name}`)
  );
}

function isOwner(value: unknown, { kind, namespace, name }: Subject): boolean {
  return (
    isRecord(value) &&
    value['kind'] === kind &&
    value['namespace'] === namespace &&
    value['name'] === name
  );
}

const SAID_ELSEWHERE = [
  'level',
  'time',
  'msg',
  'component',
  'pid',
  'hostname',
  'node',
  'kind',
  'namespace',
  'name',
  'owner',
  'controller',
  'key',
];

/**
 * `17:22:31.004 controller   Dumping asked the agent ...`, further fields behind it.
 *
 * @param minWidth of the second column
 */
export function logText(lines: readonly LogLine[], minWidth = 0): string {
  const width = Math.max(minWidth, ...lines.map(({ source }) => source.length));
  return lines.map((line) => `${oneLine(line, width)}\n`).join('');
}

function oneLine({ source, fields }: LogLine, width: number): string {
  const time = timeOf({ fields }).slice(11, 23);
  const level = levelOf(fields['level']);
  const rest = Object.entries(fields)
    .filter(([key, value]) => !SAID_ELSEWHERE.includes(key) && value !== undefined)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const { msg } = fields;
  const words = [
    `${level === 'info' ? '' : `${level}: `}${typeof msg === 'string' ? msg : ''}`,
    ...rest,
  ].join('  ');
  return `${time} ${source.padEnd(width)}  ${words}`;
}

/** RFC 3339; pino writes milliseconds since 1970 unless told otherwise. */
function timeOf({ fields }: Pick<LogLine, 'fields'>): string {
  const { time } = fields;
  if (typeof time === 'number') {
    return new Date(time).toISOString();
  }
  return typeof time === 'string' ? time : '';
}

/** pino's numbers, https://getpino.io/#/docs/api?id=levels */
const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};

function levelOf(level: unknown): string {
  return typeof level === 'number' ? (LEVELS[level] ?? String(level)) : String(level);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

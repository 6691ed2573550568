// logs: what controller and agents wrote about an object, in the order of time.
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { Option } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { namedObjects } from '../kinds.ts';
import type { Session } from '../session.ts';
import { followLogs } from './logs/follow.ts';
import { linesAbout, type LogLine, logText, type Subject, subjectFilter } from './logs/lines.ts';
import { loggedSoFar, logSources } from './logs/sources.ts';

const OPTIONS: readonly Option[] = [
  { name: 'since', value: 'DURATION', help: 'Only what is not older than this, like 10m' },
  {
    name: 'follow',
    short: 'f',
    help: 'Go on with what is written from now on, until Ctrl-C; also by pods that start later',
  },
  {
    name: 'operator-namespace',
    value: 'NAME',
    completes: 'namespace',
    help: `Where Diapause runs; without it, ${OPERATOR_NAMESPACE}`,
  },
  {
    name: 'output',
    short: 'o',
    value: 'FORMAT',
    choices: ['json'],
    help: 'Print the lines as they were written, JSON',
  },
];

/** `agent` and a name of usual length: lines that come later shall stand below those that came before. */
const FOLLOWED_WIDTH = 'agent node-a'.length;

export const logsVerb: Verb = {
  name: 'logs',
  summary: 'Show what controller and agents logged about an object',
  positionals: [{ name: 'TYPE/NAME', required: true, completes: 'object' }],
  options: OPTIONS,
  examples: [
    'logs checkpoint/redis-1',
    'logs rst/redis-back --since 10m',
    'logs migration/away --follow',
  ],
  async run(args, session) {
    const [object] = namedObjects(args.positionals, 'logs');
    const { namespace } = await session.connect();
    const { kind, name = '' } = object ?? {};
    const view: LogView = {
      where: args.text('operator-namespace') ?? OPERATOR_NAMESPACE,
      sinceSeconds: args.seconds('since'),
      isJson: args.text('output') === 'json',
      follow: args.flag('follow'),
      subject: { kind: kind?.kind ?? '', namespace, name },
      label: args.positionals[0] ?? '',
    };
    return await show(view, session);
  },
};

interface LogView {
  readonly where: string;
  readonly sinceSeconds: number | undefined;
  readonly isJson: boolean;
  readonly follow: boolean;
  readonly subject: Subject;
  readonly label: string;
}

async function show(view: LogView, session: Session): Promise<ExitCode> {
  const { where, sinceSeconds, subject, label } = view;
  const { client } = await session.connect();
  const knownAt = performance.now();
  const known: LogLine[] = [];
  const sources = await logSources(client, where);
  for (const source of sources) {
    known.push(...(await loggedSoFar(client, source, sinceSeconds)));
  }
  const about = linesAbout(known, subject);
  const width = view.follow
    ? Math.max(FOLLOWED_WIDTH, ...sources.map((source) => source.label.length))
    : 0;
  const print = (lines: readonly LogLine[]): void =>
    session.io.out(
      view.isJson ? lines.map(({ raw }) => `${raw}\n`).join('') : logText(lines, width),
    );
  if (about.length > 0) {
    print(about);
  } else if (!view.follow) {
    session.io.err(
      `nothing was logged about ${label} in namespace ${subject.namespace}: is it older than the pods of ${where}? kubectl diapause status ${label} tells its conditions\n`,
    );
  }
  if (!view.follow) {
    return EXIT.done;
  }
  const isAbout = subjectFilter(known, subject);
  const tell = (line: LogLine): void => {
    if (isAbout(line)) {
      print([line]);
    }
  };
  const { signal } = session;
  const onTrouble = troubleTeller(session);
  await followLogs({ client, namespace: where, signal, known, knownAt, tell, onTrouble });
  return EXIT.interrupted;
}

/** Each trouble once: it may last. */
function troubleTeller({ io }: Session): (error: Error) => void {
  const told = new Set<string>();
  return ({ message }) => {
    if (!told.has(message)) {
      told.add(message);
      io.err(`still following: ${message}\n`);
    }
  };
}

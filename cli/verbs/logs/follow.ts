// Lines as they are written, by whichever pods are there: streams end with their containers, and others come.
import { StringDecoder } from 'node:string_decoder';
import { isForbidden } from '../../../kube/api-error.ts';
import type { Client } from '../../../kube/client.ts';
import { pause, systemClock } from '../../../kube/clock.ts';
import { CliError } from '../../cli-error.ts';
import { type LogLine, readLines } from './lines.ts';
import { logPath, logSources, type LogSource } from './sources.ts';

const LOOK_MILLIS = 1_000;
/** A new stream begins so much before the end of what is known. */
const OVERLAP_SECONDS = 5;
/** Of one source: more than it writes in that time. */
const MAX_REMEMBERED = 20_000;

export interface Following {
  readonly client: Client;
  /** of Diapause */
  readonly namespace: string;
  readonly signal: AbortSignal;
  /** read before: not told again */
  readonly known: readonly LogLine[];
  /** when that was, by `performance.now` */
  readonly knownAt: number;
  readonly tell: (line: LogLine) => void;
  /** what is in the way; following goes on */
  readonly onTrouble: (error: Error) => void;
}

/** Until the signal. @throws CliError where logs may not be read */
export async function followLogs(following: Following): Promise<void> {
  const { client, namespace, signal } = following;
  const seen = new Seen(following.known);
  const open = new Set<string>();
  let since = following.knownAt;
  while (!signal.aborted) {
    try {
      const begun = performance.now();
      const sources = await logSources(client, namespace, signal);
      for (const source of sources.filter(({ podName }) => !open.has(podName))) {
        open.add(source.podName);
        const ended = followOne(following, { source, seen, since });
        void ended.finally(() => open.delete(source.podName));
      }
      since = begun;
    } catch (error) {
      if (error instanceof CliError) {
        throw error;
      }
      report(following, error);
    }
    await pause(systemClock, LOOK_MILLIS, signal);
  }
}

interface Stream {
  readonly source: LogSource;
  readonly seen: Seen;
  readonly since: number;
}

/** Until its container ends, or the connection. Never rejects. */
async function followOne(following: Following, { source, seen, since }: Stream): Promise<void> {
  const { client, signal, tell } = following;
  const sinceSeconds = Math.ceil((performance.now() - since) / 1000) + OVERLAP_SECONDS;
  try {
    const path = logPath(source, { follow: true, sinceSeconds });
    const { chunks } = await client.streamText(path, { signal });
    for await (const text of textLines(chunks)) {
      readLines(text, source.label)
        .filter((line) => seen.isNew(line))
        .forEach(tell);
    }
  } catch (error) {
    // Containers that are just starting or gone have no log; the next look finds out.
    report(following, error);
  }
}

function report({ signal, onTrouble }: Following, error: unknown): void {
  if (!signal.aborted && error instanceof Error && !isForbidden(error)) {
    onTrouble(error);
  }
}

/** A line that its writer could not finish is no line. */
async function* textLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of chunks) {
    const lines = `${rest}${decoder.write(chunk)}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

/** Lines hold their time, to the millisecond: nobody writes the same one twice. */
class Seen {
  readonly #bySource = new Map<string, Set<string>>();

  constructor(known: readonly LogLine[]) {
    known.forEach((line) => this.isNew(line));
  }

  isNew({ source, raw }: LogLine): boolean {
    const lines = this.#bySource.get(source) ?? new Set<string>();
    this.#bySource.set(source, lines);
    if (lines.has(raw)) {
      return false;
    }
    lines.add(raw);
    if (lines.size > MAX_REMEMBERED) {
      // A set keeps the order in which it was filled.
      const [oldest = ''] = lines;
      lines.delete(oldest);
    }
    return true;
  }
}

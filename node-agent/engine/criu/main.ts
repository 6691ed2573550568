// CRIU's command line in front of the engine: `criu check|pre-dump|dump|restore`, exit status 0 on success, 1 otherwise.
import { closeSync, constants, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describeFailure } from '../failure.ts';
import type {
  DumpTask,
  EngineEvent,
  EstablishedSockets,
  InheritedDescriptor,
  RestoreTask,
  WriteTrackingTask,
} from '../protocol.ts';
import { notOpen } from '../state/files/inherited.ts';
import { RefusedError } from '../finding.ts';
import { Reporter } from '../reporter.ts';
import { checkFeatures } from './features.ts';
import { openDescriptors } from './open-descriptors.ts';
import { type CriuOptions, parseCommandLine } from './options.ts';
import { UsageError } from './usage-error.ts';

/** Lines as CRIU writes them: seconds since the start, then the text; `Error` and `Warn` are searched for by its tools. */
class Log {
  readonly #fd: number;
  readonly #start = performance.now();

  constructor(options: CriuOptions) {
    const { logFile, workDir } = options;
    const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = constants;
    // The server of lazy pages may write, too.
    const flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND;
    this.#fd = logFile === undefined ? 2 : openSync(join(workDir, logFile), flags, 0o600);
  }

  line(text: string): void {
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(6).padStart(9, '0');
    writeSync(this.#fd, `(${seconds}) ${text}\n`);
  }

  event(event: EngineEvent): void {
    if (event.event === 'stage') this.line(`stage ${event.stage}`);
    if (event.event === 'finding') {
      const { severity, code, pid, object, advice } = event.finding;
      const word = { refusal: 'Error', loss: 'Warn', note: 'Note' }[severity];
      this.line(`${word} (${code}): process ${pid}: ${object}: ${advice}`);
    }
  }
}

async function run(options: CriuOptions): Promise<number> {
  if (options.command === 'check') return checkFeatures(options.features);
  const log = new Log(options);
  try {
    const reporter = new Reporter((event) => log.event(event));
    if (options.command === 'restore') await runRestore(options, reporter);
    else await runDump(options, reporter);
    log.line(`${options.command} finished successfully`);
    return 0;
  } catch (error) {
    const failure = describeFailure(error);
    log.line(`Error (${failure.code}): ${failure.message}`);
    return 1;
  }
}

async function runDump(options: CriuOptions, reporter: Reporter): Promise<void> {
  const { command, imagesDir, previousImagesDir } = options;
  if (options.tree === undefined) throw new UsageError(`${command} wants --tree PID`);
  const parent = previousImagesDir === undefined ? {} : { parent: previousImagesDir };
  const isPreDump = command === 'pre-dump';
  const task: DumpTask = {
    type: 'dump',
    trees: [{ name: 'tree', rootPid: options.tree, imagesDir, ...parent }],
    afterDump: options.leaveRunning || isPreDump ? 'Resume' : 'Kill',
    freezeLimitMillis: 0,
    establishedSockets: connectionsOf(options),
    lockTool: options.lockTool,
    skipInFlight: options.skipInFlight,
    external: options.external,
    // CRIU, too, saves what it finds of them.
    outsidePipes: 'Ignore',
    outsidePeers: options.extUnixSockets ? 'Ignore' : 'Fail',
    fileLocks: options.fileLocks ? 'Keep' : 'Refuse',
    maxGhostBytes: options.ghostLimitBytes,
    maxBytes: 0,
    tracking: trackingOf(options),
    dryRun: false,
  };
  const [{ dump }, { rehearse }] = await Promise.all([
    import('../dump.ts'),
    import('../rehearsal.ts'),
  ]);
  rehearse();
  dump(task, reporter);
}

/** Where the watch over the memory is, beside the images that it is about. */
const TRACKING_FILE = 'write-tracking.json';

function trackingOf(options: CriuOptions): WriteTrackingTask {
  const { command, imagesDir, previousImagesDir, trackMemory } = options;
  return {
    ...(previousImagesDir === undefined
      ? {}
      : { previousFile: join(imagesDir, previousImagesDir, TRACKING_FILE) }),
    ...(trackMemory || command === 'pre-dump' ? { nextFile: join(imagesDir, TRACKING_FILE) } : {}),
  };
}

/** Both may be given: closing is what tells them apart. */
function connectionsOf({ tcpClose, tcpEstablished }: CriuOptions): EstablishedSockets {
  if (tcpClose) return 'Close';
  return tcpEstablished ? 'Keep' : 'Fail';
}

async function runRestore(options: CriuOptions, reporter: Reporter): Promise<void> {
  const { imagesDir, inherited, restoreSibling: asSibling } = options;
  const open = openDescriptors();
  const closed = inherited.filter(({ fd }) => open && !open.has(fd));
  if (closed.length > 0) throw new RefusedError(closed.map(notOpen));
  const task: RestoreTask = {
    type: 'restore',
    trees: [{ name: 'tree', imagesDir, parents: 'anywhere', inherited, asSibling }],
    leaveStopped: options.leaveStopped,
    ...(options.lazyPages ? { lazyPages: { logFile: pagesLogOf(options) } } : {}),
  };
  const { restore } = await import('../restore.ts');
  const { rootPids } = restore(task, reporter);
  closeHandedIn(inherited);
  if (options.pidFile !== undefined) {
    writeFileSync(options.pidFile, String(rootPids[0]), { flag: 'wx' });
  }
  if (!options.restoreDetached) await waitForEnd(rootPids[0]!);
}

/** It outlives the command: whoever waits for the end of the command's output must not wait for it. */
const pagesLogOf = ({ workDir, logFile = 'lazy-pages.log' }: CriuOptions): string =>
  join(workDir, logFile);

/** While the restorer held one, nobody would ever see its end. */
function closeHandedIn(inherited: readonly InheritedDescriptor[]): void {
  for (const fd of new Set(inherited.map((one) => one.fd))) if (fd > 2) closeSync(fd);
}

/** Without --restore-detached the restorer stays until the restored root has ended. */
async function waitForEnd(pid: number): Promise<void> {
  const state = (): string => {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return text.charAt(text.lastIndexOf(')') + 2);
    } catch {
      return 'gone';
    }
  };
  while (state() !== 'Z' && state() !== 'gone') {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function main(): Promise<number> {
  try {
    return await run(parseCommandLine(process.argv.slice(2)));
  } catch (error) {
    writeSync(2, `criu: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

process.exitCode = await main();

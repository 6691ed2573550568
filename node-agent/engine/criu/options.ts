// CRIU's command line, criu(8): what we act on, what we accept because it changes nothing here, what we refuse.
import { parseArgs } from 'node:util';
import type { LockTool } from '../linux/connection-lock.ts';
import type { InheritedDescriptor } from '../protocol.ts';
import { parseExternal, parseInherited, refuseExternal } from './resources.ts';
import { UsageError } from './usage-error.ts';

export type Command = 'check' | 'pre-dump' | 'dump' | 'restore';
const COMMANDS: readonly string[] = ['check', 'pre-dump', 'dump', 'restore'] satisfies Command[];

export interface CriuOptions {
  readonly command: Command;
  readonly imagesDir: string;
  readonly workDir: string;
  readonly logFile: string | undefined;
  readonly tree: number | undefined;
  readonly pidFile: string | undefined;
  readonly leaveRunning: boolean;
  readonly trackMemory: boolean;
  /** as given: relative to the images directory */
  readonly previousImagesDir: string | undefined;
  readonly leaveStopped: boolean;
  readonly restoreDetached: boolean;
  readonly restoreSibling: boolean;
  readonly lazyPages: boolean;
  readonly tcpEstablished: boolean;
  readonly tcpClose: boolean;
  readonly skipInFlight: boolean;
  readonly lockTool: LockTool;
  readonly fileLocks: boolean;
  readonly extUnixSockets: boolean;
  /** of a dump: as {@link DumpTask.external} takes them */
  readonly external: readonly string[];
  readonly inherited: readonly InheritedDescriptor[];
  readonly ghostLimitBytes: number;
  readonly features: readonly string[];
  readonly timeoutMillis: number;
}

const DEFAULT_GHOST_LIMIT_BYTES = 1 << 20;
const DEFAULT_TIMEOUT_SECONDS = 10;
const flag = { type: 'boolean' } as const;
const value = { type: 'string' } as const;
const values = { type: 'string', multiple: true } as const;

const DESCRIPTION = {
  'images-dir': { ...value, short: 'D' },
  'work-dir': { ...value, short: 'W' },
  'log-file': { ...value, short: 'o' },
  tree: { ...value, short: 't' },
  pidfile: value,
  'leave-running': { ...flag, short: 'R' },
  'leave-stopped': { ...flag, short: 's' },
  'track-mem': flag,
  'prev-images-dir': value,
  'restore-detached': { ...flag, short: 'd' },
  'restore-sibling': { ...flag, short: 'S' },
  'lazy-pages': flag,
  'tcp-established': flag,
  'tcp-close': flag,
  'network-lock': value,
  'skip-in-flight': flag,
  'ext-unix-sk': flag,
  'file-locks': { ...flag, short: 'l' },
  external: values,
  'inherit-fd': values,
  'ghost-limit': value,
  feature: values,
  timeout: value,
  // Accepted: they choose among ways to do what is done here in one way, or say more in the log.
  'no-default-config': flag,
  verbosity: value,
  verbose: { ...flag, short: 'v' },
  'shell-job': { ...flag, short: 'j' },
  'pre-dump-mode': value,
  'auto-dedup': flag,
  'manage-cgroups': value,
  'file-validation': value,
  'force-irmap': flag,
  'irmap-scan-path': values,
  'link-remap': flag,
  root: { ...value, short: 'r' },
  'ghost-fiemap': flag,
  'no-ghost-fiemap': flag,
  'display-stats': flag,
} as const;

type Flag =
  | 'leave-running'
  | 'leave-stopped'
  | 'track-mem'
  | 'restore-detached'
  | 'restore-sibling'
  | 'lazy-pages'
  | 'tcp-established'
  | 'tcp-close'
  | 'skip-in-flight'
  | 'file-locks'
  | 'ext-unix-sk';

/**
 * Parses the arguments behind the program's name.
 *
 * @throws UsageError that names the option
 */
export function parseCommandLine(argv: readonly string[]): CriuOptions {
  const { values: given, positionals } = parse(normalise(argv));
  const [command, ...rest] = positionals;
  if (!isCommand(command)) {
    throw new UsageError(`unknown command "${command ?? ''}": ${COMMANDS.join(', ')} are known`);
  }
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  const { 'images-dir': imagesDir = '.', 'work-dir': workDir = imagesDir } = given;
  const on = (name: Flag): boolean => given[name] === true;
  return {
    command,
    imagesDir,
    workDir,
    logFile: given['log-file'],
    tree: given.tree === undefined ? undefined : positive(given.tree, '--tree'),
    pidFile: given.pidfile,
    leaveRunning: on('leave-running'),
    leaveStopped: on('leave-stopped'),
    trackMemory: on('track-mem'),
    previousImagesDir: given['prev-images-dir'],
    restoreDetached: on('restore-detached'),
    restoreSibling: on('restore-sibling'),
    lazyPages: on('lazy-pages'),
    tcpEstablished: on('tcp-established'),
    tcpClose: on('tcp-close'),
    skipInFlight: on('skip-in-flight'),
    lockTool: given['network-lock'] === 'iptables' ? 'iptables' : 'nftables',
    fileLocks: on('file-locks'),
    extUnixSockets: on('ext-unix-sk'),
    external: externalOf(command, given.external ?? []),
    inherited: inheritedOf(command, given['inherit-fd'] ?? []),
    ghostLimitBytes: size(given['ghost-limit']) ?? DEFAULT_GHOST_LIMIT_BYTES,
    features: given.feature ?? [],
    timeoutMillis: positive(given.timeout ?? String(DEFAULT_TIMEOUT_SECONDS), '--timeout') * 1000,
  };
}

function externalOf(command: Command, texts: readonly string[]): string[] {
  if (command !== 'restore') return parseExternal(texts);
  refuseExternal(texts);
  return [];
}

function inheritedOf(command: Command, texts: readonly string[]): InheritedDescriptor[] {
  if (command === 'restore' || texts.length === 0) return parseInherited(texts);
  throw new UsageError(
    `--inherit-fd ${texts[0]}: it belongs to restore; ${command} knows --external`,
  );
}

const isCommand = (word: string | undefined): word is Command =>
  word !== undefined && COMMANDS.includes(word);

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: DESCRIPTION, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Spellings of criu(8) that getopt_long accepts and parseArgs does not: `-verbosity=4`, `-v4`, options without value. */
function normalise(argv: readonly string[]): string[] {
  return argv.map((argument) => {
    if (argument.startsWith('-verbosity=')) return `-${argument}`;
    if (/^-v\d$/.test(argument)) return `--verbosity=${argument.slice(2)}`;
    if (argument === '--manage-cgroups') return '--manage-cgroups=soft';
    return argument;
  });
}

function positive(text: string, option: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number <= 0) {
    throw new UsageError(`${option} wants a positive number, not "${text}"`);
  }
  return number;
}

/** `1M`, `512K`, bytes. */
function size(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d+)([KMG]?)$/i.exec(text);
  if (!match)
    throw new UsageError(`--ghost-limit wants bytes with an optional K, M or G, not "${text}"`);
  const unit = { '': 1, K: 1 << 10, M: 1 << 20, G: 1 << 30 }[(match[2] ?? '').toUpperCase()] ?? 1;
  return Number(match[1]) * unit;
}

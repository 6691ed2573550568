// A built CRIU 4.2 for the interop tests: its program, its image tool and what its own bindings say about the messages.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const checkout = fileURLToPath(new URL('../../../..', import.meta.url));
const { CRIU_DIR } = process.env;
const criuDir = resolve(checkout, CRIU_DIR ?? '.cache/criu');

/** Why nothing can be compared with CRIU here, or undefined. */
export function criuMissing(): string | undefined {
  if (!existsSync(join(criuDir, 'criu/criu'))) {
    return `no CRIU in ${criuDir}: build it there or set CRIU_DIR to a built source tree`;
  }
  return process.getuid?.() === 0 ? undefined : 'CRIU needs root';
}

/** Dumps a process tree and ends it. Takes no lock on the network: connections are loopback's. */
export function criuDump(pid: number, imagesDir: string): void {
  if (!(pid > 1)) throw new Error(`not a process to dump: ${pid}`);
  const options = ['--tree', String(pid), '--images-dir', imagesDir, '-v1', '--shell-job'];
  const allow = ['--tcp-established', '--network-lock', 'skip', '--file-locks', '--link-remap'];
  const more = ['--ext-unix-sk', '--ghost-limit', '10M'];
  const dump = spawnSync(
    join(criuDir, 'criu/criu'),
    ['dump', '--no-default-config', ...options, ...allow, ...more],
    { encoding: 'utf8' },
  );
  if (dump.status !== 0) throw new Error(`criu dump ended with ${dump.status}: ${dump.stderr}`);
}

/**
 * Restores a process tree in a pid namespace of its own, where its pids are free, and ends it again.
 *
 * @returns the restored root's /proc/PID/comm
 */
export function criuRestoreAndKill(pid: number, imagesDir: string): string {
  const script =
    '"$1" restore --no-default-config -D "$2" -v1 -d --shell-job >&2 && cat "/proc/$3/comm" && kill -9 "$3"';
  const unshare = ['--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
  const inside = [
    '/bin/sh',
    '-c',
    script,
    'sh',
    join(criuDir, 'criu/criu'),
    imagesDir,
    String(pid),
  ];
  const restore = spawnSync('unshare', [...unshare, ...inside], { encoding: 'utf8' });
  if (restore.status !== 0) throw new Error(`criu restore: ${restore.stderr}`);
  return restore.stdout.trim();
}

type ParseWithSource = (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

/** JSON whose numbers become bigints, so that 64-bit values stay exact. */
function parseExact(text: string): unknown {
  const parse = JSON.parse as ParseWithSource;
  return parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined ? BigInt(source) : value,
  );
}

/**
 * Records of an image as CRIU's tool reads them; integers are bigints, bytes base64. Undefined for images that the tool
 * does not know.
 */
export function critDecode(file: string): readonly Readonly<Record<string, unknown>>[] | undefined {
  const { status, stdout, stderr } = spawnSync(join(criuDir, 'bin/crit'), ['decode', '-i', file], {
    encoding: 'utf8',
  });
  if (status === 0)
    return (parseExact(stdout) as { readonly entries: Record<string, unknown>[] }).entries;
  if (stderr.includes('No handler found')) return undefined;
  throw new Error(`crit decode ${file}: ${stderr}`);
}

/** A field as CRIU describes it. */
export interface CriuField {
  readonly name: string;
  readonly number: number;
  readonly label: 'required' | 'optional' | 'repeated';
  /** name of a message or of a scalar type */
  readonly type: string;
  readonly packed: boolean;
  /** numbers of an enumeration by name */
  readonly values: Readonly<Record<string, number>> | null;
}

const DESCRIBE = `
import importlib, json, pkgutil
import pycriu.images as images
SCALARS = {3: 'int64', 4: 'uint64', 5: 'int32', 6: 'fixed64', 7: 'fixed32', 8: 'bool', 9: 'string', 12: 'bytes',
           13: 'uint32', 14: 'enum', 17: 'sint32', 18: 'sint64'}
LABELS = {1: 'optional', 2: 'required', 3: 'repeated'}
def describe(field):
    return dict(name=field.name, number=field.number, label=LABELS[field.label],
                type=field.message_type.name if field.message_type else SCALARS.get(field.type, str(field.type)),
                packed=bool(field.GetOptions().packed),
                values={v.name: v.number for v in field.enum_type.values} if field.enum_type else None)
found = {}
for module in pkgutil.iter_modules(images.__path__):
    if module.name.endswith('_pb2'):
        file = importlib.import_module('pycriu.images.' + module.name).DESCRIPTOR
        for name, message in file.message_types_by_name.items():
            found[name] = [describe(field) for field in message.fields]
print(json.dumps(found))
`;

/** All messages of this CRIU, by name. */
export function criuMessages(): Readonly<Record<string, readonly CriuField[]>> {
  const python = join(criuDir, 'bin/python3');
  const text = execFileSync(existsSync(python) ? python : 'python3', ['-c', DESCRIBE], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: join(criuDir, 'lib') },
  });
  return JSON.parse(text) as Record<string, CriuField[]>;
}

/** CRIU's name of a field as a key here. */
export function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

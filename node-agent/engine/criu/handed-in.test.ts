// Files whose other side is outside of the tree: declared at the dump, replaced at the restore by a descriptor that was
// handed in; with CRIU_DIR also from and to CRIU 4.2. Needs root.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  builtCriu,
  type CriuProgram,
  diapause,
  dumpWith,
  mustSucceed,
  reason,
  restoreWith,
} from '../../../test/victims/criu-command.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim, watch } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

const KINDS = ['pipe', 'file', 'path', 'fifo', 'unix', 'tty'] as const;
type Kind = (typeof KINDS)[number];

const criu = builtCriu();
const program = buildVictim('files-outside');
const base = mkdtempSync(join(tmpdir(), 'diapause-handed-in-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** A reader of what comes from outside, and its name for what it reads. */
interface Reader extends Disposable {
  readonly victim: Victim;
  readonly reader: Victim;
  /** as --external takes it */
  readonly external: readonly string[];
  /** as --inherit-fd takes it */
  readonly resource: string;
}

const programKind = (kind: Kind): string => (kind === 'path' ? 'file' : kind);

async function startReader(kind: Kind): Promise<Reader> {
  const victim = await startVictim(program, ['hold', programKind(kind)]);
  const [, pid = '', resource = ''] = (await victim.waitForLine(/^ready/)).split(' ');
  const reader = watch(Number(pid), victim.dir, join(victim.dir, 'out'));
  const unix = /^socket:(\[\d+\])$/.exec(resource);
  return {
    victim,
    reader,
    external: kind === 'path' || kind === 'pipe' ? [] : [unix ? `unix${unix[1]}` : resource],
    resource: kind === 'path' ? join(victim.dir, 'old').slice(1) : resource,
    [Symbol.dispose]() {
      reader[Symbol.dispose]();
      victim[Symbol.dispose]();
    },
  };
}

async function dump(by: CriuProgram, { reader, external }: Reader): Promise<string> {
  const imagesDir = mkdtempSync(join(base, 'images-'));
  const more = external.flatMap((name) => ['--external', name]);
  mustSucceed('dump', await dumpWith(by, { pid: reader.pid, imagesDir, more }));
  return imagesDir;
}

interface Restore {
  readonly kind: Kind;
  readonly imagesDir: string;
  /** as --inherit-fd takes it */
  readonly inherit: readonly string[];
  /** more of the command line */
  readonly more?: readonly string[];
}

interface HandedIn {
  readonly status: number;
  readonly log: string;
}

/** Runs a restore that is handed in descriptors, writes to the other side, and lets `use` look what became of it. */
async function handIn(
  by: CriuProgram,
  { kind, imagesDir, inherit, more = [] }: Restore,
  use: (caller: number) => Promise<void> = async () => {},
): Promise<HandedIn> {
  const options = ['--images-dir', imagesDir, '--log-file', 'restore.log', '--restore-detached'];
  const args = inherit.flatMap((text) => ['--inherit-fd', text]);
  const command = [by.path, 'restore', ...options, ...more, ...args];
  const child = spawn(program, ['hand-in', programKind(kind), ...command], {
    cwd: mkdtempSync(join(base, 'hand-in-')),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const match = /^status (\d+)$/m.exec(text);
      if (match) resolve(Number(match[1]));
    });
  });
  child.removeAllListeners('exit');
  try {
    if (status === 0) await use(child.pid ?? 0);
  } finally {
    child.stdin.end();
  }
  const log = join(imagesDir, 'restore.log');
  return { status, log: existsSync(log) ? readFileSync(log, 'utf8') : '' };
}

async function carry(kind: Kind, dumper: CriuProgram, restorer: CriuProgram): Promise<void> {
  using held = await startReader(kind);
  const imagesDir = await dump(dumper, held);
  const { pid, dir } = held.reader;
  const inherit = [`fd[90]:${held.resource}`];
  const { status, log } = await handIn(restorer, { kind, imagesDir, inherit }, async () => {
    using restored = watch(pid, dir, join(dir, 'out'));
    const expected = kind === 'tty' ? 'got hello, a terminal' : 'got hello, no terminal';
    assert.equal(await restored.waitForLine(/^(got|end)/), expected);
  });
  assert.equal(status, 0, reason(log));
}

describe('what is handed in takes the place of what was open', () => {
  for (const kind of KINDS) test(kind, () => carry(kind, diapause, diapause));
});

const missing = criu ? false : 'no CRIU: say CRIU_DIR=a source tree of CRIU 4.2, built';

describe('to CRIU', { skip: missing }, () => {
  for (const kind of KINDS) test(kind, () => carry(kind, diapause, criu!));
});

describe('from CRIU', { skip: missing }, () => {
  for (const kind of KINDS) test(kind, () => carry(kind, criu!, diapause));
});

test('nothing is handed in: a pipe and a socket are found closed', async () => {
  for (const kind of ['pipe', 'unix'] as const) {
    using held = await startReader(kind);
    const { pid, dir } = held.reader;
    const imagesDir = await dump(diapause, held);
    mustSucceed('restore', await restoreWith(diapause, imagesDir));
    using restored = watch(pid, dir, join(dir, 'out'));
    assert.equal(await restored.waitForLine(/^(got|end)/), 'end of file', kind);
  }
});

test('nothing is handed in: a file and a terminal are refused', async () => {
  for (const kind of ['file', 'tty'] as const) {
    using held = await startReader(kind);
    const imagesDir = await dump(diapause, held);
    const { status, log } = await restoreWith(diapause, imagesDir);
    assert.notEqual(status, 0);
    assert.match(log, /Error \(ExternalMissing\)/);
    assert.ok(log.includes(`--inherit-fd 'fd[N]:${held.resource}'`), log);
    assert.ok(!held.reader.alive(), kind);
  }
});

test('what is outside and was not declared is refused or told, by its name', async () => {
  for (const [kind, line] of [
    ['pipe', /Warn \(ExternalPipe\)/],
    ['unix', /Error \(UnixPeerOutside\)/],
    ['tty', /Error \(TtyOutside\).*--external tty/],
  ] as const) {
    using held = await startReader(kind);
    const imagesDir = mkdtempSync(join(base, 'images-'));
    const options = { pid: held.reader.pid, imagesDir, leaveRunning: true };
    const { status, log } = await dumpWith(diapause, options);
    assert.equal(status === 0, kind === 'pipe');
    assert.match(log, line);
    assert.ok(held.reader.alive());
  }
});

test('what was declared and nobody has is told', async () => {
  using held = await startReader('file');
  const imagesDir = mkdtempSync(join(base, 'images-'));
  const more = ['--external', 'file[1:2]', '--external', held.resource, '--external', 'mnt[]'];
  const options = { pid: held.reader.pid, imagesDir, leaveRunning: true, more };
  const { status, log } = await dumpWith(diapause, options);
  assert.equal(status, 0, reason(log));
  assert.match(log, /Note \(ExternalUnknown\).*file\[1:2\]/);
  assert.ok(!log.includes(`${held.resource}: it was declared`), log);
});

test('restored as a sibling, it is a child of who has called', async () => {
  using held = await startReader('pipe');
  const imagesDir = await dump(diapause, held);
  const { pid, dir } = held.reader;
  const inherit = [`fd[90]:${held.resource}`];
  const restore = { kind: 'pipe', imagesDir, inherit, more: ['--restore-sibling'] } as const;
  const { status, log } = await handIn(diapause, restore, async (caller) => {
    using restored = watch(pid, dir, join(dir, 'out'));
    await restored.waitForLine(/^got/);
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    assert.equal(Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]), caller);
  });
  assert.equal(status, 0, reason(log));
});

/** What is handed in, and how it is refused; RESOURCE stands for what was open. */
const REFUSED: readonly (readonly [kind: Kind, inherit: readonly string[], code: string])[] = [
  ['pipe', ['fd[89]:RESOURCE'], 'InheritedNotOpen'],
  // Node has a pipe of its own there.
  ['pipe', ['fd[13]:RESOURCE'], 'InheritedNotOpen'],
  ['pipe', ['fd[90]:pipe[1]'], 'InheritedUnknown'],
  ['pipe', ['fd[90]:/no/such/path'], 'InheritedUnknown'],
  ['pipe', ['fd[90]:RESOURCE', 'fd[90]:RESOURCE'], 'InheritedTwice'],
  ['pipe', ['fd[91]:RESOURCE'], 'InheritedType'],
  ['pipe', ['fd[92]:RESOURCE'], 'InheritedAccess'],
  ['unix', ['fd[90]:RESOURCE', 'fd[91]:RESOURCE'], 'InheritedTwice'],
  ['unix', ['fd[91]:RESOURCE'], 'InheritedType'],
  ['unix', ['fd[92]:RESOURCE'], 'InheritedType'],
  ['tty', ['fd[92]:RESOURCE'], 'InheritedType'],
  ['file', ['fd[91]:RESOURCE'], 'InheritedType'],
];

for (const kind of ['pipe', 'unix', 'tty', 'file'] as const) {
  test(`${kind}: what cannot take its place is refused before anything runs`, async () => {
    using held = await startReader(kind);
    const imagesDir = await dump(diapause, held);
    for (const [of, texts, code] of REFUSED) {
      if (of !== kind) continue;
      const inherit = texts.map((text) => text.replace('RESOURCE', held.resource));
      const { status, log } = await handIn(diapause, { kind, imagesDir, inherit });
      assert.equal(status, 1, `${inherit.join()}: ${log}`);
      assert.ok(log.includes(`Error (${code})`), `${inherit.join()}: ${reason(log)}`);
      assert.ok(!log.includes('building-tree'), 'it was refused too late');
      assert.ok(!held.reader.alive());
    }
  });
}

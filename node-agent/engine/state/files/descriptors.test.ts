// The descriptors of stopped programs, compared with what those programs did; and what is refused, by its name. Needs root.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { enterPrivateNamespaces } from '../../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, watch } from '../../../../test/victims/victim.ts';
import type { Finding } from '../../finding.ts';
import type { FileEntry } from '../../image/messages/files.ts';
import { Tracer } from '../../tracee/tracer.ts';
import { collectDescriptors } from './descriptors.ts';
import type { FileOptions } from './file-dump.ts';
import { FileRegistry } from './registry.ts';

enterPrivateNamespaces();

interface Seen {
  readonly findings: readonly Finding[];
  /** file id by descriptor, of each process, root first */
  readonly tables: readonly ReadonlyMap<number, number>[];
  readonly entry: (id: number | undefined) => FileEntry;
}

const OPTIONS: FileOptions = { establishedSockets: 'Fail', maxGhostBytes: 1 << 30 };

/** Stops a tree, collects its descriptors and lets it go on. */
function look(pid: number, options: FileOptions = OPTIONS): Seen {
  const tracer = new Tracer();
  tracer.seizeTree(pid);
  tracer.freeze(2000);
  const findings: Finding[] = [];
  const report = (finding: Finding): void => void findings.push(finding);
  const registry = new FileRegistry(options);
  try {
    const members = [...tracer.processes.values()].sort((a, b) => a.pid - b.pid);
    const { fdinfo } = collectDescriptors(
      members.map((process) => ({ process, report, statusText: () => '', afterwards: () => {} })),
      registry,
    );
    const tables = members.map(
      (process) => new Map((fdinfo.get(process.pid) ?? []).map(({ fd, id }) => [fd, id])),
    );
    const entry = (id: number | undefined): FileEntry => {
      const found = registry.entry(id ?? 0);
      assert.ok(found, `no file ${id}`);
      return found;
    };
    return { findings, tables, entry };
  } finally {
    tracer.releaseAll();
  }
}

const codes = ({ findings }: Seen): string[] =>
  findings.map(({ code, severity }) => `${severity} ${code}`);

test('duplicates are one file, other openings of the same path are others', async () => {
  using victim = await startVictim(buildVictim('files-regular'));
  const seen = look(victim.pid);
  assert.deepEqual(codes(seen), []);
  const [table] = seen.tables;
  const at700 = table?.get(700);
  const nulls = [...(table ?? [])].filter(([, id]) => id === at700).map(([fd]) => fd);
  assert.equal(nulls.length, 2, 'the null device and its duplicate');
  const plain = [...new Set(table?.values())]
    .map((id) => seen.entry(id).reg)
    .filter((reg) => reg?.name === join(victim.dir, 'plain'));
  assert.deepEqual(
    plain.map((reg) => Number(reg?.pos)).toSorted((a, b) => a - b),
    [0, 3, 7],
  );
  assert.ok(plain.every((reg) => reg?.size === 10n));
});

test('what parent and child inherited is one file in both', async () => {
  using victim = await startVictim(buildVictim('files-pipe'));
  const { tables, entry, findings } = look(victim.pid);
  assert.deepEqual(findings, []);
  const [parent, child] = tables;
  assert.equal(tables.length, 2);
  assert.equal(parent?.get(1), child?.get(1));
  const own = new Set(child?.values());
  const pipes = [...(child ?? [])].filter(([, id]) => entry(id).pipe).map(([, id]) => id);
  // The child holds two ends whose other ends the parent holds: four files, two pipes.
  assert.equal(pipes.length, 2);
  for (const id of pipes) {
    const others = [...(parent ?? [])].filter(
      ([, other]) => !own.has(other) && entry(other).pipe?.pipeId === entry(id).pipe?.pipeId,
    );
    assert.equal(others.length, 1);
  }
});

test('unlinked files above the limit are refused', async () => {
  using victim = await startVictim(buildVictim('files-regular'));
  const seen = look(victim.pid, { ...OPTIONS, maxGhostBytes: 100 });
  assert.ok(
    codes(seen).every((code) => code === 'refusal GhostTooLarge'),
    codes(seen).join(),
  );
  assert.ok(seen.findings[0]?.object.includes('/ghost (deleted)'));
});

test('connections are refused each, or told as one loss', async () => {
  using victim = await startVictim(buildVictim('files-inet'), ['connections']);
  const refused = look(victim.pid);
  const waiting = ['refusal TcpWaiting'];
  assert.deepEqual(codes(refused).sort(), [...Array(5).fill('refusal TcpEstablished'), ...waiting]);
  const closed = look(victim.pid, { ...OPTIONS, establishedSockets: 'Close' });
  assert.deepEqual(codes(closed).sort(), ['loss TcpEstablished', 'loss TcpWaiting']);
  const lost = closed.findings.find(({ code }) => code === 'TcpEstablished');
  assert.equal(lost?.object, '5 established TCP connections');
});

for (const [kind, code] of [
  ['userfaultfd', 'Userfaultfd'],
  ['io_uring', 'IoUring'],
] as const) {
  test(`${kind} is refused by its name`, async (t) => {
    using victim = await startVictim(buildVictim('unsupported'), [kind]);
    const fd = Number(/ready fd (-?\d+)/.exec(victim.output())?.[1]);
    if (fd < 0) return t.skip(`the kernel gives no ${kind}: ${victim.output().trim()}`);
    const { findings } = look(victim.pid);
    assert.deepEqual(
      findings.map((finding) => finding.code),
      [code],
    );
    const object = findings[0]?.object ?? '';
    assert.ok(object.startsWith(`fd ${fd} -> `), object);
  });
}

/** Starts a program whose descriptor `fd` is a pipe that a process outside its tree reads. */
async function startWithReader(fd: number) {
  const dir = mkdtempSync(join(tmpdir(), 'diapause-victim-'));
  const [out, pidFile] = [join(dir, 'out'), join(dir, 'pid')];
  const script = `exec 9> >(cat >"$1"); setsid "$3" ${fd === 1 ? '' : '>"$1"'} ${fd}>&9 9>&- 2>/dev/null </dev/null & echo $! >"$2"`;
  execFileSync('bash', ['-c', script, 'bash', out, pidFile, buildVictim('counter')], {
    cwd: dir,
    stdio: 'ignore',
  });
  const victim = watch(Number(readFileSync(pidFile, 'utf8')), dir, out);
  await victim.waitForLine(/ready/);
  return victim;
}

test("a pipe to the outside at a standard number is the container's stdio", async () => {
  using victim = await startWithReader(1);
  const { findings, tables, entry } = look(victim.pid);
  assert.deepEqual(findings, []);
  assert.equal(entry(tables[0]?.get(1)).pipe?.stdio, 2);
});

test('any other pipe to the outside is refused', async () => {
  using victim = await startWithReader(7);
  const { findings } = look(victim.pid);
  assert.deepEqual(
    findings.map((finding) => finding.code),
    ['ExternalPipe'],
  );
});

// Real interpreters and runtimes: each counts on after a restore with what it holds, and nobody hears an error. Those that
// this machine does not have are skipped, which the output says.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { diapause, restoreWith } from '../../test/victims/criu-command.ts';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim, watch } from '../../test/victims/victim.ts';
import type { DumpTask } from './protocol.ts';

enterPrivateNamespaces();

const PROGRAMS = new URL('../../test/victims/programs/', import.meta.url).pathname;
const base = mkdtempSync(join(tmpdir(), 'diapause-programs-'));
after(() => rmSync(base, { recursive: true, force: true }));

interface RealProgram {
  readonly name: string;
  /** commands that must be there */
  readonly needs: readonly string[];
  readonly build?: readonly string[];
  readonly command: readonly string[];
}

const source = (file: string): string => join(PROGRAMS, file);
const built = (file: string): string => join(base, file);

const REAL_PROGRAMS: readonly RealProgram[] = [
  { name: 'CPython', needs: ['python3'], command: ['python3', source('counter.py')] },
  {
    name: 'Node',
    needs: ['node'],
    command: [buildVictim('no-io-uring'), 'node', source('counter.cjs')],
  },
  { name: 'Perl', needs: ['perl'], command: ['perl', source('counter.pl')] },
  { name: 'Ruby', needs: ['ruby'], command: ['ruby', source('counter.rb')] },
  {
    name: 'Java',
    needs: ['java', 'javac'],
    build: ['javac', '-d', base, source('Counter.java')],
    command: ['java', '-Xmx64m', '-cp', base, 'Counter'],
  },
  {
    name: 'Go',
    needs: ['go'],
    build: ['go', 'build', '-o', built('counter-go'), source('counter.go')],
    command: [built('counter-go')],
  },
  {
    name: 'BEAM',
    needs: ['erl', 'erlc'],
    build: ['erlc', '-o', base, source('counter.erl')],
    command: ['erl', '-noshell', '-pa', base, '-s', 'counter', 'main'],
  },
  {
    name: 'OpenMP',
    needs: ['gcc'],
    build: ['gcc', '-O1', '-fopenmp', '-o', built('counter-openmp'), source('counter-openmp.c')],
    command: [built('counter-openmp')],
  },
];

function missing({ needs, build }: RealProgram): string | undefined {
  const absent = needs.find((name) => spawnSync('which', [name]).status !== 0);
  if (absent !== undefined) return `${absent} is not installed`;
  if (!build) return undefined;
  const [command = '', ...args] = build;
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: base });
  return status === 0 ? undefined : `${command} cannot build it: ${stderr.slice(-300)}`;
}

async function dump(victim: Victim, afterDump: DumpTask['afterDump']): Promise<string> {
  const images = mkdtempSync(join(base, 'images-'));
  const { failure, result } = await startEngine(dumpTask(victim.pid, images, { afterDump })).ended;
  assert.ok(result, JSON.stringify(failure));
  return images;
}

/** Numbers and digests that it printed, all in order. */
function counts(victim: Victim): { readonly last: number; readonly digest: string } {
  const lines = victim.output().trim().split('\n');
  const found = lines.map((line) => /^count (\d+) (.*)$/.exec(line));
  assert.ok(
    found.every((match) => match),
    `it complained: ${lines.filter((line) => !line.startsWith('count')).join(' | ')}`,
  );
  found.forEach((match, i) => {
    assert.deepEqual([Number(match?.[1]), match?.[2]], [i + 1, found[0]?.[2]], 'in order');
  });
  return { last: found.length, digest: found[0]?.[2] ?? '' };
}

async function goesOn(victim: Victim): Promise<void> {
  const { last } = counts(victim);
  await victim.waitForLine(new RegExp(`^count ${last + 5} `));
  counts(victim);
}

describe('real programs', () => {
  for (const program of REAL_PROGRAMS) {
    test(program.name, async (t) => {
      const why = missing(program);
      if (why !== undefined) return t.skip(why);
      const [command = '', ...args] = program.command;
      const path = execFileSync('which', [command], { encoding: 'utf8' }).trim();
      using victim = await startVictim(path, args, { readyLine: /^count 5 / });
      await dump(victim, 'Resume');
      await goesOn(victim);
      const images = await dump(victim, 'Kill');
      const { status, log } = await restoreWith(diapause, images);
      assert.equal(status, 0, log.slice(-3000));
      using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
      await goesOn(restored);
      await dump(restored, 'Resume');
      await goesOn(restored);
    });
  }
});

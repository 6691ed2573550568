// --external and --inherit-fd: what is understood, and what is refused by the name of its option.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommandLine } from './options.ts';
import { UsageError } from './usage-error.ts';

const dump = (...external: string[]) =>
  parseCommandLine(['dump', '--tree', '7', ...external.flatMap((text) => ['--external', text])]);
const restore = (...inherit: string[]) =>
  parseCommandLine(['restore', ...inherit.flatMap((text) => ['--inherit-fd', text])]);

test('one spelling of each resource', () => {
  assert.deepEqual(dump('file[2B:9901A1]', 'tty[8800:1a]', 'unix[12]', 'pipe:[13]').external, [
    'file[2b:9901a1]',
    'tty[8800:1a]',
    'unix:[12]',
    'pipe:[13]',
  ]);
});

test('nothing of mounts is saved, so that leaving one out changes nothing', () => {
  assert.deepEqual(dump('mnt[]', 'mnt[]:m', 'mnt[/data]:data', 'dev[7/1]:loop').external, []);
});

test('a restore is handed in what a path or a number names', () => {
  assert.deepEqual(restore('fd[7]:tmp/old', 'fd[8]:pipe[5]').inherited, [
    { fd: 7, resource: 'tmp/old' },
    { fd: 8, resource: 'pipe[5]' },
  ]);
});

const REFUSED: readonly (readonly [string[], string])[] = [
  [['dump', '--external', 'net[4026531840]:ns'], '--external net[4026531840]:ns: no namespace'],
  [['dump', '--external', 'pid[1]:ns'], '--external pid[1]:ns: no namespace'],
  [['dump', '--external', 'veth[eth0]:veth1'], '--external veth[eth0]:veth1: mnt, dev, file'],
  [['dump', '--external', 'file[zz]'], '--external file[zz]: file[MNT:INO]'],
  [['dump', '--external', 'tty'], '--external tty: mnt, dev, file'],
  [['dump', '--inherit-fd', 'fd[3]:pipe[4]'], '--inherit-fd fd[3]:pipe[4]: it belongs to restore'],
  [['restore', '--external', 'mnt[data]:/data'], '--external mnt[data]:/data: a restore makes no'],
  [['restore', '--external', 'veth[eth0]:veth1'], '--external veth[eth0]:veth1: a restore makes'],
  [['restore', '--inherit-fd', 'pipe[4]'], '--inherit-fd pipe[4]: fd[N]:RESOURCE is wanted'],
  [['restore', '--inherit-fd', 'debug[3]:here'], '--inherit-fd debug[3]:here: fd[N]:RESOURCE'],
  [['restore', '--inherit-fd', 'fd[3]:net[4]'], '--inherit-fd fd[3]:net[4]: pipe[INO], socket'],
];

for (const [argv, start] of REFUSED) {
  test(`${argv.join(' ')} is refused`, () => {
    assert.throws(
      () => parseCommandLine(argv),
      (error) => error instanceof UsageError && error.message.startsWith(start),
    );
  });
}

test('a restore may leave out the mounts that a dump found by itself', () => {
  assert.deepEqual(parseCommandLine(['restore', '--external', 'mnt[]']).external, []);
});

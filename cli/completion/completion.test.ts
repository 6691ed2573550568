// Completion: what could come next, and real shells that ask.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { CHECKPOINT } from '../kinds.ts';
import { checkpoint } from '../testing/objects.ts';
import { BINARY, NAMESPACE, TestCluster } from '../testing/program.ts';
import { VERBS } from '../verbs/verbs.ts';
import { wanted } from './candidates.ts';
import { SCRIPTS } from './scripts.ts';

describe('wanted', () => {
  const valuesAfter = (line: string): unknown => {
    const what = wanted(line.split(' '), VERBS);
    return what.type === 'candidates' ? what.candidates.map(({ value }) => value) : what;
  };

  it('verbs, options, choices and names, by place', () => {
    assert.deepEqual(
      valuesAfter(''),
      VERBS.map(({ name }) => name),
    );
    assert.deepEqual(
      valuesAfter('-n shop '),
      VERBS.map(({ name }) => name),
    );
    assert.deepEqual(valuesAfter('checkpoint '), { type: 'names', of: 'pod' });
    assert.deepEqual(valuesAfter('checkpoint redis '), []);
    assert.deepEqual(valuesAfter('checkpoint redis --after-dump '), [
      'Resume',
      'Stop',
      'DeletePod',
    ]);
    assert.deepEqual(valuesAfter('checkpoint redis -o '), ['json', 'yaml', 'name']);
    assert.deepEqual(valuesAfter('checkpoint --store '), { type: 'names', of: 'store' });
    assert.deepEqual(valuesAfter('checkpoint --store fast '), { type: 'names', of: 'pod' });
    assert.deepEqual(valuesAfter('wait chk/a '), { type: 'names', of: 'object' });
    assert.deepEqual(valuesAfter('inspect '), { type: 'files' });
    assert.deepEqual(valuesAfter('completion '), ['bash', 'zsh', 'fish', 'kubectl']);
    assert.ok((valuesAfter('restore redis-1 --n') as string[]).includes('--node-selector'));
  });
});

describe('the program asked by a shell', () => {
  it('answers in the protocol that kubectl speaks, names from the cluster included', async () => {
    await using cluster = await TestCluster.start();
    cluster.server.seed(CHECKPOINT.type, checkpoint('redis-1'));
    const names = await cluster.run('__complete', 'restore', 're');
    assert.deepEqual([names.stdout, names.stderr, names.code], ['redis-1\n:4\n', '', 0]);
    const objects = await cluster.run('__complete', 'wait', '-n', NAMESPACE, '');
    assert.equal(objects.stdout, 'checkpoint/redis-1\n:4\n');
    const verbs = await cluster.run('__complete', 'chec');
    assert.equal(verbs.stdout, 'checkpoint\tSave a running pod; it runs on\n:4\n');
    await cluster.server.close();
    const away = await cluster.run('__complete', 'restore', '');
    assert.deepEqual([away.stdout, away.stderr, away.code], [':4\n', '', 0]);
  });

  /** What each shell is told to do to complete the words behind the program, and to print the result. */
  const ASK: Readonly<Record<'bash' | 'zsh' | 'fish', (words: readonly string[]) => string>> = {
    bash: (words) => `COMP_WORDS=(diapause ${quoted(words)}); COMP_CWORD=${words.length}
      __diapause; printf '%s\\n' "\${COMPREPLY[@]}"`,
    // The completion system itself works only on a terminal.
    zsh: (words) => `_describe() { print -rl -- \${(P)2} }; _files() { }
      words=(diapause ${quoted(words)}); CURRENT=${words.length + 1}; _diapause`,
    fish: (words) => `complete -C "diapause ${words.join(' ')}"`,
  };
  const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');

  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    it(`completes in ${shell}`, async (test) => {
      await using cluster = await TestCluster.start();
      const link = join(dirname(BINARY), 'diapause');
      if (!existsSync(link)) {
        symlinkSync(BINARY, link);
      }
      const env = { ...cluster.environment };
      env['PATH'] = `${dirname(link)}:${env['PATH']}`;
      const ask = (...words: readonly string[]): string[] | undefined => {
        const prepared = shell === 'zsh' ? 'compdef() { }' : '';
        const script = `${prepared}\n${SCRIPTS[shell]}\n${ASK[shell](words)}`;
        const { error, stdout, stderr } = spawnSync(shell, ['-c', script], {
          env,
          encoding: 'utf8',
        });
        assert.equal(stderr ?? '', '');
        // Descriptions stand behind a tab, or a colon in zsh.
        return error
          ? undefined
          : stdout
              .trim()
              .split('\n')
              .map((line) => line.split(/[\t:]/)[0] ?? '');
      };
      const verbs = ask('re');
      if (verbs === undefined) {
        test.skip(`${shell} is not installed here`);
        return;
      }
      assert.deepEqual(verbs.toSorted(), ['report', 'restore', 'rewind']);
      assert.deepEqual(ask('checkpoint', 'redis', '--after-dump', 'S'), ['Stop']);
      if (shell !== 'fish') {
        assert.deepEqual(ask('inspect', './x'), [''], 'the shell itself completes files');
      }
    });
  }
});

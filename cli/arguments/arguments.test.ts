// From words to a verb and its values, and every complaint about them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CliError } from '../cli-error.ts';
import { VERBS } from '../verbs/verbs.ts';
import { generalHelp, verbHelp } from './help.ts';
import { nearest } from './nearest.ts';
import { parseCommand } from './parse.ts';

const parse = (line: string) => parseCommand(line.split(' '), VERBS);

function complaint(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    const { exitCode, message, advice } = error as CliError;
    assert.equal(exitCode, 2);
    assert.match(advice.join(), /^see kubectl diapause .*--help$/);
    return message;
  }
  throw new assert.AssertionError({ message: 'nothing was wrong' });
}

describe('parseCommand', () => {
  it('takes options before, between and behind', () => {
    const { verb, args } =
      parse('-n shop checkpoint --after-dump=Stop redis -c a -c b --dry-run') ?? {};
    assert.equal(verb?.name, 'checkpoint');
    assert.deepEqual(args?.positionals, ['redis']);
    assert.deepEqual(
      [args?.text('namespace'), args?.text('after-dump'), args?.text('dry-run')],
      ['shop', 'Stop', 'client'],
    );
    assert.deepEqual(args?.texts('container'), ['a', 'b']);
    assert.equal(parseCommand([], VERBS), undefined);
  });

  const WRONG = [
    ['chekpoint redis', /no verb "chekpoint"; did you mean checkpoint\?/],
    ['frobnicate', /no verb "frobnicate"$/],
    ['checkpoint redis --sotre x', /Unknown option '--sotre'; did you mean --store\?/],
    ['checkpoint', /POD is missing/],
    ['checkpoint a b', /"b" is one argument too many/],
    ['checkpoint a --after-dump stop', /--after-dump: "stop" is none of Resume, Stop, DeletePod/],
    ['checkpoint a -o wide', /--output: "wide" is none of json, yaml, name/],
    ['checkpoint a --dry-run=yes', /--dry-run: "yes" is none of none, client, server/],
    ['checkpoint a --store', /--store/],
  ] as const;
  for (const [line, expected] of WRONG) {
    it(`refuses: ${line}`, () =>
      assert.match(
        complaint(() => parse(line)),
        expected,
      ));
  }
});

describe('values', () => {
  const args = (line: string) => {
    const command = parse(line);
    assert.ok(command);
    return command.args;
  };

  it('are durations, numbers and pairs', () => {
    assert.equal(args('checkpoint a --timeout 90s').seconds('timeout'), 90);
    assert.equal(args('checkpoint a --timeout 1500ms').seconds('timeout'), 2);
    assert.equal(args('inspect a --pid 7').integer('pid', 1), 7);
    assert.deepEqual(args('restore a --label x=1 --label y=a=b').pairs('label'), {
      x: '1',
      y: 'a=b',
    });
    assert.equal(args('restore a').pairs('label'), undefined);
  });

  it('that make no sense name their option', () => {
    for (const text of ['90', '-1s', 'soon', '0s']) {
      const read = () => args(`checkpoint a --timeout=${text}`).seconds('timeout');
      assert.match(complaint(read), /^--timeout: .* is not a duration; write it like 90s/);
    }
    assert.match(
      complaint(() => args('inspect a --pid 0').integer('pid', 1)),
      /^--pid: "0" is not a whole number of at least 1/,
    );
    assert.match(
      complaint(() => args('restore a --label x').pairs('label')),
      /^--label: "x" is not KEY=VALUE/,
    );
  });
});

describe('help', () => {
  it('names every verb, and every option of a verb', () => {
    const general = generalHelp(VERBS);
    for (const verb of VERBS) {
      assert.match(general, new RegExp(`^ {2}${verb.name} +\\S`, 'm'));
      const text = verbHelp(verb);
      for (const { name } of verb.options) {
        assert.ok(text.includes(`--${name}`), name);
      }
      // An example that its own parser refuses would be a bad example.
      for (const example of verb.examples) {
        const words = example.replace(/ >.*/, '').match(/"[^"]*"|\S+/g) ?? [];
        const unquoted = words.map((word) => word.replaceAll('"', ''));
        assert.equal(parseCommand(unquoted, VERBS)?.verb, verb, example);
      }
    }
  });

  it('offers only what is near', () => {
    assert.equal(nearest('statsu', ['status', 'wait']), 'status');
    assert.equal(nearest('xyz', ['status', 'wait']), undefined);
  });
});

// Help texts (pure).
import { EXIT } from '../exit-codes.ts';
import { table } from '../output/table.ts';
import { GLOBAL_OPTIONS, type Option, type Positional } from './option.ts';
import type { Verb } from './verb.ts';

const PROGRAM = 'kubectl diapause';

const EXIT_CODE_MEANINGS = [
  [EXIT.done, 'done'],
  [EXIT.error, 'the API server refused or did not answer, or a file could not be read'],
  [EXIT.usage, 'the command line makes no sense'],
  [EXIT.failed, 'the object ended as Failed'],
  [EXIT.timeout, 'the time to wait was over; the work goes on'],
  [EXIT.refused, 'the report holds refusals: the pod cannot be saved as it is'],
  [EXIT.interrupted, 'Ctrl-C; the work goes on'],
] as const;

/** All verbs. */
export function generalHelp(verbs: readonly Verb[]): string {
  return [
    'Save running pods and bring them back.',
    '',
    `usage: ${PROGRAM} VERB [ARGUMENTS] [OPTIONS]`,
    '',
    indented(verbs.map(({ name, summary }) => [name, summary])),
    '',
    'options of every verb:',
    optionLines(GLOBAL_OPTIONS),
    '',
    'exit codes:',
    indented(EXIT_CODE_MEANINGS.map(([code, meaning]) => [String(code), meaning])),
    '',
    `${PROGRAM} VERB --help tells about one verb.`,
    '',
  ].join('\n');
}

/** One verb. */
export function verbHelp(verb: Verb): string {
  const words = [PROGRAM, verb.name, ...verb.positionals.map(positionalWord), '[OPTIONS]'];
  const examples = verb.examples.map((example) => `  ${PROGRAM} ${example}`);
  return [
    verb.summary,
    '',
    `usage: ${words.join(' ')}`,
    '',
    ...(verb.options.length === 0 ? [] : ['options:', optionLines(verb.options), '']),
    'options of every verb:',
    optionLines(GLOBAL_OPTIONS),
    '',
    ...(examples.length === 0 ? [] : ['examples:', ...examples, '']),
  ].join('\n');
}

function positionalWord({ name, required, repeated = false }: Positional): string {
  const word = repeated ? `${name}...` : name;
  return required ? word : `[${word}]`;
}

function optionLines(options: readonly Option[]): string {
  return indented(options.map((option) => [optionWord(option), optionHelp(option)]));
}

function optionWord({ name, short, value }: Option): string {
  const long = `--${name}${value === undefined ? '' : ` ${value}`}`;
  return short === undefined ? `    ${long}` : `-${short}, ${long}`;
}

function optionHelp({ help, choices, repeated = false }: Option): string {
  const values = choices === undefined ? '' : ` (${choices.join(', ')})`;
  return `${help}${values}${repeated ? '; may be given several times' : ''}`;
}

function indented(rows: readonly (readonly string[])[]): string {
  return table(rows)
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}

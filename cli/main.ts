#!/usr/bin/env node
// kubectl diapause: reads the command line, runs one verb, tells what went wrong. `bin/` and the built file start here.
import process from 'node:process';
import { generalHelp, verbHelp } from './arguments/help.ts';
import { connectionOptions, parseCommand } from './arguments/parse.ts';
import { CliError } from './cli-error.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { explain } from './explain.ts';
import { type Io, processIo } from './io.ts';
import { Session } from './session.ts';
import { complete } from './verbs/completion.ts';
import { VERBS } from './verbs/verbs.ts';

/** What completion scripts call; its words are anything, so they are not parsed as ours. */
const COMPLETE = '__complete';

/** What the client library and zstd need. */
const NODE_MINIMUM = [22, 15] as const;

/** @throws CliError on an older Node, which would fail somewhere in the middle */
function checkNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [neededMajor, neededMinor] = NODE_MINIMUM;
  if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
    throw new CliError(
      `this is Node ${version}, and kubectl diapause needs ${NODE_MINIMUM.join('.')} or newer`,
      'put a newer node on the PATH: https://nodejs.org',
    );
  }
}

async function main(words: readonly string[], io: Io, signal: AbortSignal): Promise<ExitCode> {
  if (words[0] === COMPLETE) {
    return await answerShell(words.slice(1), { io, signal });
  }
  const command = parseCommand(words, VERBS);
  if (command === undefined) {
    io.out(generalHelp(VERBS));
    return words.length === 0 || words.includes('--help') || words.includes('-h')
      ? EXIT.done
      : EXIT.usage;
  }
  const { verb, args } = command;
  if (args.flag('help')) {
    io.out(verbHelp(verb));
    return EXIT.done;
  }
  const session = new Session({
    io,
    signal,
    namespace: args.text('namespace'),
    context: args.text('context'),
    kubeconfig: args.text('kubeconfig'),
  });
  try {
    return await verb.run(args, session);
  } finally {
    session.close();
  }
}

async function answerShell(
  words: readonly string[],
  { io, signal }: { readonly io: Io; readonly signal: AbortSignal },
): Promise<ExitCode> {
  const session = new Session({ io, signal, ...connectionOptions(words) });
  try {
    await complete(words, VERBS, session);
    return EXIT.done;
  } finally {
    session.close();
  }
}

function complain(io: Io, { message, advice }: CliError): void {
  io.err(`error: ${message}\n${advice.map((line) => `  ${line}\n`).join('')}`);
}

const io = processIo(process);
const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort(new Error('SIGINT')));
// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.error);
});
try {
  checkNode(process.versions.node);
  process.exitCode = await main(process.argv.slice(2), io, interrupt.signal);
} catch (error) {
  const explained = explain(error);
  complain(io, explained);
  if (process.env['DIAPAUSE_TRACE'] !== undefined && error instanceof Error) {
    io.err(`${error.stack}\n`);
  }
  process.exitCode = explained.exitCode;
}

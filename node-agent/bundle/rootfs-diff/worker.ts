// The rootfs worker: does one request and ends. Single-threaded and synchronous, since it changes the mount
// namespace of its main thread for a moment.
import { readFileSync, writeSync } from 'node:fs';
import { errnoOf, messageOf, TaskFailure } from '../../task-failure.ts';
import { apply } from './apply.ts';
import { collect } from './collect.ts';
import type { RootfsEvent, RootfsRequest, RootfsResult } from './protocol.ts';

const STDIN = 0;
const STDOUT = 1;
const PROGRESS_STEP_BYTES = 16 << 20;

function say(event: RootfsEvent): void {
  const line = Buffer.from(`${JSON.stringify(event)}\n`);
  for (let done = 0; done < line.length; ) {
    done += writeSync(STDOUT, line, done);
  }
}

/** Tells of every 16 MiB. */
function progress(): (bytes: number) => void {
  let told = 0;
  return (bytes) => {
    if (bytes - told >= PROGRESS_STEP_BYTES) {
      told = bytes;
      say({ event: 'progress', bytes });
    }
  };
}

function run(request: RootfsRequest): RootfsResult {
  switch (request.type) {
    case 'collect':
    case 'collect-volume':
      return collect(request, progress());
    case 'apply':
      return apply(request, progress());
  }
}

try {
  const request = JSON.parse(readFileSync(STDIN, 'utf8')) as RootfsRequest;
  say({ event: 'result', result: run(request) });
} catch (error) {
  const code = error instanceof TaskFailure ? error.code : undefined;
  say({ event: 'failed', failure: { code, errno: errnoOf(error), message: messageOf(error) } });
}

// The engine process: one task as a JSON line on stdin, perhaps orders after it, events as JSON lines on stdout, exit status 0 only
// after a result.
import { writeSync } from 'node:fs';
import { cleanUp } from './clean-up.ts';
import { dump } from './dump.ts';
import { describeFailure } from './failure.ts';
import { reserveDescriptors } from './linux/descriptors.ts';
import { Input, type Orders } from './orders.ts';
import type { EngineEvent, EngineResult, EngineTask } from './protocol.ts';
import { Reporter } from './reporter.ts';
import { rehearse } from './rehearsal.ts';
import { restore } from './restore.ts';
import { rewind } from './rewind.ts';

/** What most applications have open; more is made room for when it is known. */
const DESCRIPTORS = 16_384;

function emit(event: EngineEvent): void {
  writeSync(1, `${JSON.stringify(event)}\n`);
}

function main(): number {
  reserveDescriptors(DESCRIPTORS);
  rehearse();
  emit({ event: 'ready' });
  const input = new Input(0);
  const task = input.task();
  const reporter = new Reporter(emit);
  try {
    emit({ event: 'result', result: perform(task, reporter, input) });
    return 0;
  } catch (error) {
    // Where it happened is for the agent's log, not for users.
    if (error instanceof Error) writeSync(2, `${error.stack}\n`);
    reporter.failed(describeFailure(error));
    return 1;
  }
}

function perform(task: EngineTask, reporter: Reporter, orders: Orders): EngineResult {
  switch (task.type) {
    case 'dump':
      return dump(task, reporter, task.rounds && orders);
    case 'restore':
      return restore(task, reporter);
    case 'clean-up':
      return cleanUp(task);
    case 'rewind':
      return rewind(task, reporter);
  }
}

process.exitCode = main();

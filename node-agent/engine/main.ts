// The engine process: one task as JSON on stdin, events as JSON lines on stdout, exit status 0 only after a result.
import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { dump } from './dump.ts';
import { describeFailure } from './failure.ts';
import type { EngineEvent, EngineTask } from './protocol.ts';
import { Reporter } from './reporter.ts';
import { rehearse } from './rehearsal.ts';
import { restore } from './restore.ts';

function emit(event: EngineEvent): void {
  writeSync(1, `${JSON.stringify(event)}\n`);
}

async function main(): Promise<number> {
  rehearse();
  emit({ event: 'ready' });
  const task = JSON.parse(await text(process.stdin)) as EngineTask;
  const reporter = new Reporter(emit);
  try {
    const result = task.type === 'dump' ? dump(task, reporter) : restore(task, reporter);
    emit({ event: 'result', result });
    return 0;
  } catch (error) {
    reporter.failed(describeFailure(error));
    return 1;
  }
}

process.exitCode = await main();

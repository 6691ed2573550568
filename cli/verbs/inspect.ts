// inspect: what lies in a bundle. Reads files, needs no cluster, and never prints memory.
import { ImageError } from '../../node-agent/engine/image/image-error.ts';
import { TaskFailure } from '../../node-agent/task-failure.ts';
import type { Arguments } from '../arguments/arguments.ts';
import { FACTS_OUTPUT_OPTION } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { CliError } from '../cli-error.ts';
import { EXIT } from '../exit-codes.ts';
import type { ContainerFacts, ProcessFacts } from '../inspect/facts.ts';
import { type BundleFacts, readBundle } from '../inspect/open-bundle.ts';
import { descriptorTable, memoryTable, processTree, sizeTable, summary } from '../inspect/views.ts';
import { document } from '../output/print.ts';

export const inspectVerb: Verb = {
  name: 'inspect',
  summary:
    'Show what lies in a bundle: processes, descriptors, memory map, sizes; never memory itself',
  positionals: [{ name: 'PATH', required: true, completes: 'file' }],
  options: [
    { name: 'container', short: 'c', value: 'NAME', help: 'Only this container' },
    { name: 'pid', value: 'PID', help: 'Only this process, as numbered inside the container' },
    { name: 'descriptors', help: 'Descriptors of each process' },
    { name: 'memory', help: 'Memory map of each process' },
    { name: 'sizes', help: 'Files of the bundle' },
    { name: 'all', help: 'All of these' },
    FACTS_OUTPUT_OPTION,
  ],
  examples: [
    'inspect /mnt/checkpoints/shop/redis-1-0d6c…',
    'inspect redis.tar --descriptors --pid 1',
    'inspect ./images --all -o json',
  ],
  async run(args, { io }) {
    const [path = ''] = args.positionals;
    const facts = selected(await read(path), args);
    const format = args.text('output') as 'json' | 'yaml' | undefined;
    io.out(format === undefined ? text(facts, args) : document(facts, format));
    return EXIT.done;
  },
};

async function read(path: string): Promise<BundleFacts> {
  try {
    return await readBundle(path);
  } catch (error) {
    if (error instanceof ImageError || error instanceof TaskFailure) {
      throw new CliError(
        `${path} is damaged: ${error.message}`,
        'a Checkpoint whose bundle is damaged cannot be restored; take another one',
      );
    }
    throw error;
  }
}

function selected(facts: BundleFacts, args: Arguments): BundleFacts {
  const name = args.text('container');
  const pid = args.integer('pid', 1);
  const containers = facts.containers
    .filter(({ container }) => name === undefined || container === name)
    .map((container) => ({
      ...container,
      processes: container.processes.filter((process) => pid === undefined || process.pid === pid),
    }));
  if (name !== undefined && containers.length === 0) {
    const known = facts.containers.map(({ container }) => container).join(', ');
    throw new CliError(`${facts.path} holds no container ${name}`, `it holds ${known}`);
  }
  if (pid !== undefined && containers.every(({ processes }) => processes.length === 0)) {
    throw new CliError(`${facts.path} holds no process ${pid}`, 'without --pid all are shown');
  }
  return { ...facts, containers };
}

function text(facts: BundleFacts, args: Arguments): string {
  const wants = (part: string): boolean => args.flag(part) || args.flag('all');
  const perProcess = (view: (process: ProcessFacts) => string) => (container: ContainerFacts) =>
    container.processes.map(view);
  return [
    summary(facts),
    ...facts.containers.map(processTree),
    ...(wants('descriptors') ? facts.containers.flatMap(perProcess(descriptorTable)) : []),
    ...(wants('memory') ? facts.containers.flatMap(perProcess(memoryTable)) : []),
    ...(wants('sizes') ? facts.containers.map(sizeTable) : []),
  ].join('\n');
}

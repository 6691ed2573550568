// Facts of a bundle as text for people (pure).
import { formatBytesRounded } from '../../kube/quantity.ts';
import { table } from '../output/table.ts';
import { type ContainerFacts, memoryOf, type ProcessFacts } from './facts.ts';
import type { BundleFacts } from './open-bundle.ts';

export function summary({ path, kind, digest, manifest, containers }: BundleFacts): string {
  const processes = containers.flatMap((container) => container.processes);
  const threads = processes.reduce((sum, process) => sum + process.threads.length, 0);
  const saved = processes.reduce((sum, process) => sum + memoryOf(process).savedBytes, 0);
  const facts: [string, string][] = [[kind, path]];
  if (manifest !== undefined) {
    const { owner, pod, node, createdAt, engine, requirements, bytes, report } = manifest;
    facts.push(
      ['checkpoint', `${owner.namespace}/${owner.name}`],
      ['pod', `${pod.namespace}/${pod.name} on ${node}`],
      ['saved', `${createdAt} by ${engine.name} ${engine.version}`],
      ['needs', `${requirements.arch}, kernel ${requirements.kernelRelease}`],
      ['size', formatBytesRounded(bytes)],
      ['findings', String(report.length)],
      ['digest', digest ?? ''],
    );
  }
  facts.push([
    'contains',
    `${processes.length} processes, ${threads} threads, ${formatBytesRounded(saved)} of memory`,
  ]);
  return table(facts.map(([name, value]) => [`${name}:`, value]));
}

/** Processes as a tree, with their sizes. */
export function processTree({ container, processes }: ContainerFacts): string {
  const pids = new Set(processes.map(({ pid }) => pid));
  const rows: string[][] = [];
  const add = (process: ProcessFacts, indent: string): void => {
    const { mappedBytes, savedBytes } = memoryOf(process);
    rows.push([
      `${indent}${process.pid}`,
      process.command,
      process.state,
      String(process.threads.length),
      String(process.descriptors.length),
      formatBytesRounded(mappedBytes),
      formatBytesRounded(savedBytes),
      process.executable ?? '',
    ]);
    for (const child of processes) {
      // A damaged tree may name a process as its own parent.
      if (child.parent === process.pid && child !== process) {
        add(child, `${indent}  `);
      }
    }
  };
  processes.filter(({ parent }) => !pids.has(parent)).forEach((root) => add(root, ''));
  const header = [
    container,
    'COMMAND',
    'STATE',
    'THREADS',
    'DESCRIPTORS',
    'MAPPED',
    'SAVED',
    'EXECUTABLE',
  ];
  return table([header, ...rows]);
}

export function descriptorTable(process: ProcessFacts): string {
  const rows = process.descriptors.map(({ fd, type, object, closeOnExec }) => [
    String(fd),
    type,
    closeOnExec ? 'cloexec' : '',
    object,
  ]);
  return `${heading(process)}${table([['FD', 'TYPE', 'FLAGS', 'OBJECT'], ...rows])}`;
}

export function memoryTable(process: ProcessFacts): string {
  const rows = process.areas.map((area) => [
    `${area.start.toString(16)}-${area.end.toString(16)}`,
    area.permissions,
    formatBytesRounded(area.bytes),
    formatBytesRounded(area.savedBytes),
    area.parentBytes === 0 ? '' : formatBytesRounded(area.parentBytes),
    area.name,
  ]);
  return `${heading(process)}${table([['AREA', 'PERM', 'SIZE', 'SAVED', 'IN PARENT', 'NAME'], ...rows])}`;
}

export function sizeTable({ container, files }: ContainerFacts): string {
  return table([[container, 'BYTES'], ...files.map(({ file, bytes }) => [file, String(bytes)])]);
}

function heading({ pid, command, directory }: ProcessFacts): string {
  return `process ${pid} (${command})${directory === undefined ? '' : ` in ${directory}`}\n`;
}

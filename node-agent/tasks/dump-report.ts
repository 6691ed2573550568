// What a dump has to tell: for the status of its task, where room is short, and for the manifest, which holds all.
import type { Report } from '../../crds/meta.ts';
import type { Finding } from '../engine/finding.ts';
import type { DumpResult } from '../engine/protocol.ts';
import { cpuFeatures } from './cpu-features.ts';
import { reportOf } from './engine-failure.ts';

/** The controller keeps 32 of them; the manifest has all. */
const MAX_REPORT_ENTRIES = 64;
const WEIGHT = { refusal: 0, loss: 1, note: 2 } as const;

/** @param containers names of all; with one the findings are its own */
export function reportOfDump(
  containers: readonly string[],
  findings: readonly Finding[],
): Report[] {
  return reportOf(findings, containers.length === 1 ? (containers[0] ?? '') : '');
}

/** The most important entries, as many as a status may hold. */
export function shortReport(report: readonly Report[]): Report[] {
  return report
    .toSorted((a, b) => WEIGHT[a.severity] - WEIGHT[b.severity])
    .slice(0, MAX_REPORT_ENTRIES);
}

/** What a node must have: of the CPU flags, which the manifest has whole, only what programs know about. */
export function requirementsOf({ requirements }: DumpResult): Readonly<Record<string, unknown>> {
  const { cpuFlags, ...rest } = requirements;
  return { ...rest, cpuFeatures: cpuFeatures(cpuFlags) };
}

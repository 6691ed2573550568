// What the fake engine shall do, told by a file, so that every engine of a test (spares too) reads the latest.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { EngineEvent } from '../../engine/protocol.ts';

export type ScenarioStep =
  | { readonly do: 'say'; readonly event: EngineEvent }
  /** real files in the directories that the task names */
  | { readonly do: 'write-images'; readonly pagesBytes: number }
  /** rounds of copying; so many bytes have changed when each was sent */
  | { readonly do: 'copy-rounds'; readonly dirtyBytes: readonly number[] }
  /** really stop the processes by ptrace, or let them go */
  | { readonly do: 'stop' }
  | { readonly do: 'let-go' }
  /** write the freezer files of the task, as KeepFrozen does */
  | { readonly do: 'freeze' }
  /** rewind: the victim is a placeholder from now on; nothing in a dry run */
  | { readonly do: 'empty' }
  /** the same; a dry run ends here, well */
  | { readonly do: 'empty-or-result' }
  /** until the file exists, for ever otherwise */
  | { readonly do: 'wait-for'; readonly file: string }
  /** events of progress for ever */
  | { readonly do: 'go-on-for-ever' }
  | { readonly do: 'result' }
  | { readonly do: 'exit'; readonly status: number; readonly lastWords?: string }
  | { readonly do: 'kill-self' };

/** Of each round that is copied. */
export const ROUND_BYTES = 4 << 20;

export type Scenario = readonly ScenarioStep[];

export function writeScenario(file: string, scenario: Scenario): void {
  writeFileSync(file, JSON.stringify(scenario));
}

export function readScenario(file: string): Scenario {
  return JSON.parse(readFileSync(file, 'utf8')) as Scenario;
}

/** What an engine does that is told to rewind: another file, as a restore follows without a pause. */
export const rewindFile = (scenarioFile: string): string => `${scenarioFile}.rewind`;

const REWINDS: Scenario = [{ do: 'empty' }, { do: 'result' }];

export function rewindScenario(scenarioFile: string): Scenario {
  const file = rewindFile(scenarioFile);
  return existsSync(file) ? readScenario(file) : REWINDS;
}

const cleanUpsFile = (scenarioFile: string): string => `${scenarioFile}.clean-ups`;

/** The engine was told to take away what others left in these processes. */
export function noteCleanUp(scenarioFile: string, pids: readonly number[]): void {
  appendFileSync(cleanUpsFile(scenarioFile), `${pids.join(' ')}\n`);
}

/** Root processes of every clean-up so far, a line for each. */
export function readCleanUps(scenarioFile: string): string[] {
  const file = cleanUpsFile(scenarioFile);
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

const stage = (
  name: 'seizing' | 'preparing' | 'frozen' | 'thawed' | 'saving-pages',
): ScenarioStep => ({
  do: 'say',
  event: { event: 'stage', stage: name, atMillis: 0 },
});

export const SUCCESS: Scenario = [
  stage('seizing'),
  stage('preparing'),
  { do: 'stop' },
  stage('frozen'),
  { do: 'let-go' },
  stage('thawed'),
  stage('saving-pages'),
  { do: 'write-images', pagesBytes: 3 << 20 },
  { do: 'result' },
];

export const KEPT_FROZEN: Scenario = [
  stage('frozen'),
  { do: 'write-images', pagesBytes: 4096 },
  { do: 'freeze' },
  { do: 'result' },
];

export const HANGS_WHILE_FROZEN: Scenario = [
  { do: 'stop' },
  stage('frozen'),
  { do: 'wait-for', file: '/nowhere' },
];

export const REFUSES: Scenario = [
  {
    do: 'say',
    event: {
      event: 'failed',
      failure: {
        code: 'IoUring',
        message: 'IoUring: process 1, fd 7 -> anon_inode:[io_uring]: turn it off',
        findings: [
          {
            code: 'IoUring',
            severity: 'refusal',
            pid: 1,
            object: 'fd 7 -> anon_inode:[io_uring]',
            advice: 'turn it off',
          },
        ],
      },
    },
  },
  { do: 'exit', status: 1 },
];

/** As {@link SUCCESS}, waiting for `file` before the processes are let go. */
export const frozenUntil = (file: string): Scenario => [
  ...SUCCESS.slice(0, 4),
  { do: 'wait-for', file },
  ...SUCCESS.slice(4),
];

/** As {@link SUCCESS}, waiting for `file` while the images are being written. */
export const slowUntil = (file: string): Scenario => [
  ...SUCCESS.slice(0, 8),
  { do: 'say', event: { event: 'progress', bytesDone: 1000, bytesTotal: 3 << 20 } },
  { do: 'wait-for', file },
  { do: 'result' },
];

// Options and arguments of the command line as values: parser, help and completion all read the same ones.

/** What a value is the name of; shells complete it by asking the API server. */
export type Named =
  | 'pod'
  | 'node'
  | 'namespace'
  | 'context'
  | 'checkpoint'
  | 'store'
  | 'schedule'
  | 'object'
  | 'file';

export interface Option {
  readonly name: string;
  readonly short?: string;
  /** how the help calls the value; without it, the option is a switch */
  readonly value?: string;
  readonly repeated?: boolean;
  readonly help: string;
  /** the only values there are */
  readonly choices?: readonly string[];
  readonly completes?: Named;
}

export interface Positional {
  readonly name: string;
  readonly required: boolean;
  readonly repeated?: boolean;
  readonly choices?: readonly string[];
  readonly completes?: Named;
}

/** Understood by every verb. */
export const GLOBAL_OPTIONS: readonly Option[] = [
  {
    name: 'namespace',
    short: 'n',
    value: 'NAME',
    completes: 'namespace',
    help: 'Namespace; without it, that of the context',
  },
  { name: 'context', value: 'NAME', completes: 'context', help: 'Context of the kubeconfig' },
  {
    name: 'kubeconfig',
    value: 'FILE',
    completes: 'file',
    help: 'Kubeconfig to use instead of $KUBECONFIG or ~/.kube/config',
  },
  { name: 'help', short: 'h', help: 'Tell about this verb' },
];

export const OUTPUT_FORMATS = ['json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export const OUTPUT_OPTION: Option = {
  name: 'output',
  short: 'o',
  value: 'FORMAT',
  choices: OUTPUT_FORMATS,
  help: 'Print the object as json or yaml, or only its name',
};

/** For verbs that print no object but facts. */
export const FACTS_OUTPUT_OPTION: Option = {
  ...OUTPUT_OPTION,
  choices: ['json', 'yaml'],
  help: 'Print all facts as json or yaml',
};

export const DRY_RUN_MODES = ['none', 'client', 'server'] as const;
export type DryRun = (typeof DRY_RUN_MODES)[number];

/** For verbs that create an object. */
export const CREATE_OPTIONS: readonly Option[] = [
  {
    name: 'name',
    value: 'NAME',
    help: 'Name of the new object; without it, one with the time in it',
  },
  OUTPUT_OPTION,
  {
    name: 'dry-run',
    value: 'MODE',
    choices: DRY_RUN_MODES,
    help: 'client: only print what would be created; server: let the API server check it, too',
  },
  { name: 'no-wait', help: 'Return when the object is created' },
  {
    name: 'wait-timeout',
    value: 'DURATION',
    help: 'Stop waiting after this time, like 90s or 10m; the work goes on',
  },
];

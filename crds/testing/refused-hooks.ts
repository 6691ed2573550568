// Hooks and probes that the API server must refuse; see refused.ts.
import { completeGroup } from './group-samples.ts';
import type { RefusedCase } from './refused.ts';
import { completeRestore, shortRestore } from './restore-samples.ts';
import { completeCheckpoint, shortCheckpoint, shortSchedule } from './samples.ts';

const exec = { command: ['sync'] };
const http = { port: 80 };

function checkpoint(hooks: object): Pick<RefusedCase, 'kind' | 'object'> {
  const object = { ...shortCheckpoint, spec: { ...shortCheckpoint.spec, hooks } };
  return { kind: 'Checkpoint', object };
}

function restore(spec: object): Pick<RefusedCase, 'kind' | 'object'> {
  return { kind: 'Restore', object: { ...shortRestore, spec: { ...shortRestore.spec, ...spec } } };
}

const oldCheckpoint = { ...completeCheckpoint, metadata: { name: 'hooked' } };
const oldGroup = { ...completeGroup, metadata: { name: 'hooked' } };
const oldRestore = { ...completeRestore, metadata: { name: 'hooked' } };

export const REFUSED_HOOKS = [
  {
    what: 'a hook that does two things',
    by: 'cel',
    ...checkpoint({ pre: [{ exec, http }] }),
    says: 'a hook has exactly one of exec and http',
  },
  {
    what: 'a hook that does nothing',
    by: 'cel',
    ...checkpoint({ post: [{ timeoutSeconds: 1 }] }),
    says: 'a hook has exactly one of exec and http',
  },
  {
    what: 'a hook without a command',
    by: 'schema',
    ...checkpoint({ pre: [{ exec: { command: [] } }] }),
    says: 'spec.hooks.pre[0].exec.command',
  },
  {
    what: 'a hook that names another host in its path',
    by: 'schema',
    ...checkpoint({ pre: [{ http: { ...http, path: 'http://elsewhere/' } }] }),
    says: 'spec.hooks.pre[0].http.path',
  },
  {
    what: 'a hook that takes an hour',
    by: 'schema',
    ...checkpoint({ pre: [{ exec, timeoutSeconds: 3600 }] }),
    says: 'spec.hooks.pre[0].timeoutSeconds',
  },
  {
    what: 'other hooks',
    kind: 'Checkpoint',
    by: 'cel',
    before: oldCheckpoint,
    object: { ...oldCheckpoint, spec: { ...oldCheckpoint.spec, hooks: { pre: [{ exec }] } } },
    says: 'hooks cannot be changed',
  },
  {
    what: 'a hook of a schedule that does nothing',
    kind: 'CheckpointSchedule',
    by: 'cel',
    object: {
      ...shortSchedule,
      spec: {
        ...shortSchedule.spec,
        template: { spec: { hooks: { post: [{ timeoutSeconds: 1 }] } } },
      },
    },
    says: 'a hook has exactly one of exec and http',
  },
  {
    what: 'other hooks of a group',
    kind: 'CheckpointGroup',
    by: 'cel',
    before: oldGroup,
    object: { ...oldGroup, spec: { ...oldGroup.spec, hooks: { pre: [{ exec }] } } },
    says: 'hooks cannot be changed',
  },
  {
    what: 'a request before anybody can answer it',
    by: 'schema',
    ...restore({ hooks: { pre: [{ http }] } }),
    says: 'spec.hooks.pre[0]',
  },
  {
    what: 'a probe of nothing',
    by: 'cel',
    ...restore({ verify: { probe: { timeoutSeconds: 5 } } }),
    says: 'a probe has exactly one of exec and http',
  },
  {
    what: 'another probe',
    kind: 'Restore',
    by: 'cel',
    before: oldRestore,
    object: { ...oldRestore, spec: { ...oldRestore.spec, verify: { probe: { http } } } },
    says: 'a Restore cannot be changed',
  },
] as const satisfies readonly RefusedCase[];

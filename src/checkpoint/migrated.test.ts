// A Checkpoint that a Migration made: held back until the target is ready, frozen until the Migration says what next.
import { describe } from 'node:test';
import type { Checkpoint, CheckpointSpec } from '../../crds/checkpoint.ts';
import { API_VERSION, type Condition } from '../../crds/meta.ts';
import { checkpoint, container, pod, storedStatus, time } from '../testing/builders.ts';
import { acceptedStatus, checkpointFacts, dump } from '../testing/checkpoint-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideCheckpoint } from './decide.ts';
import type { CheckpointFacts } from './facts.ts';

const owner = {
  apiVersion: API_VERSION,
  kind: 'Migration',
  name: 'away',
  uid: 'mig-1',
  controller: true,
};
const STOP: Partial<CheckpointSpec> = { afterDump: 'Stop' };

function check(base: Partial<CheckpointFacts>, cases: readonly StepCase<CheckpointFacts>[]): void {
  checkSteps((changes) => decideCheckpoint(checkpointFacts({ ...base, ...changes })), cases);
}

function ofMigration(
  spec: Partial<CheckpointSpec>,
  status: Checkpoint['status'] = acceptedStatus(),
  metadata: Partial<Checkpoint['metadata']> = {},
): Checkpoint {
  return checkpoint(spec, status, { ownerReferences: [owner], ...metadata });
}

describe('a suspended Checkpoint', () => {
  const suspended = checkpoint({ suspend: true }, acceptedStatus());
  check({ checkpoint: suspended }, [
    { what: 'prepared', facts: {}, step: 'wait Prepared' },
    { what: 'the volume is not there yet', facts: { holders: [] }, step: 'create-holder' },
    {
      what: 'not accepted yet',
      facts: { checkpoint: checkpoint({ suspend: true }) },
      step: 'accept',
    },
    {
      what: 'let go',
      facts: { checkpoint: checkpoint({ suspend: false }, acceptedStatus()) },
      step: 'create-task',
    },
    {
      what: 'cancelled',
      facts: { checkpoint: checkpoint({ suspend: true, cancel: true }, acceptedStatus()) },
      step: 'fail Canceled',
    },
  ]);
});

describe('a Checkpoint that keeps its pod frozen, with a probe that notices', () => {
  const livenessProbe = { httpGet: {}, periodSeconds: 10 };
  check({ pod: pod({ containers: [container({ livenessProbe })] }) }, [
    {
      what: 'for good',
      facts: { checkpoint: checkpoint(STOP, acceptedStatus()) },
      step: 'fail FreezeLimitZero',
    },
    { what: 'for a Migration', facts: { checkpoint: ofMigration(STOP) }, step: 'create-task' },
  ]);
});

describe('a Checkpoint that is deleted while its pod is kept frozen', () => {
  const frozen: Condition = {
    type: 'SourceFrozen',
    status: 'True',
    reason: 'KeptFrozen',
    message: '',
    lastTransitionTime: time(-1),
  };
  const status = storedStatus(pod());
  const held = { ...status, conditions: [...(status.conditions ?? []), frozen] };
  const deleted = (afterDump: 'Stop' | 'Resume' | 'DeletePod', seconds = -1): CheckpointFacts =>
    checkpointFacts({
      checkpoint: ofMigration({ afterDump }, held, { deletionTimestamp: time(seconds) }),
    });
  check({}, [
    { what: 'nobody else decides', facts: deleted('Stop'), step: 'create-task' },
    {
      what: 'the end of its task is not in the status yet',
      facts: {
        checkpoint: checkpoint(STOP, acceptedStatus(), { deletionTimestamp: time(-1) }),
        dump: dump({ state: 'Succeeded' }, checkpoint(STOP)),
      },
      step: 'create-task',
    },
    {
      what: 'a Migration decides later',
      facts: { ...deleted('Stop'), migrating: true },
      step: 'wait Deleting',
    },
    {
      what: 'a Migration decides much later',
      facts: { ...deleted('Stop', -600), migrating: true },
      step: 'wait Deleting',
    },
    {
      what: 'a Migration has decided for the source',
      facts: { ...deleted('Resume'), migrating: true },
      step: 'create-task',
    },
    {
      what: 'a Migration has decided for the target',
      facts: { ...deleted('DeletePod'), migrating: true },
      step: 'delete-source',
    },
  ]);
});

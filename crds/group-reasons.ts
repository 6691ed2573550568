// The reasons that only a CheckpointGroup has.
import { define } from './reason-facts.ts';

export const GROUP_PROGRESS = define('progress', {
  PreparingMembers: [
    'the Checkpoints of the group are being prepared; all pods run on untouched',
    '',
  ],
  FreezingMembers: [
    'the pods are being stopped and saved; those that are, wait for the others',
    '',
  ],
  ReleasingMembers: ['all pods are saved and are being let go on', ''],
});

export const GROUP_SUCCESS = define('success', {
  AllPrepared: ['every pod of the group can be saved right now', ''],
  AllStored: ['all pods stood still at one moment and are stored as they were then', ''],
});

export const GROUP_FAILURE = define('failure', {
  NoPodSelected: ['the selector matches no running pod', 'correct spec.selector'],
  TooManyPods: ['the selector matches too many pods', 'narrow spec.selector'],
  MemberFailed: [
    'a pod of the group could not be saved, so none is; all run on',
    'look at the Checkpoint named in the message',
  ],
});

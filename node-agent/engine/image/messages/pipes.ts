// Pipes and FIFOs: members of files.img, pipes-data.img and fifo-data.img.
import { type Infer, message, optional, repeated, required, u32 } from '../codec.ts';
import { fownEntry } from './file-owner.ts';

export const pipeEntry = message('pipe_entry', {
  id: required(1, u32),
  /** inode in pipefs: equal for both ends */
  pipeId: required(2, u32),
  flags: required(3, u32),
  fown: required(4, fownEntry),
  /** ours: 1 + number of the container's standard descriptor that this pipe is */
  stdio: optional(5000, u32),
});
export type PipeEntry = Infer<typeof pipeEntry>;

export const fifoEntry = message('fifo_entry', {
  id: required(1, u32),
  pipeId: required(2, u32),
  /** file id of the path */
  regfId: optional(3, u32),
});
export type FifoEntry = Infer<typeof fifoEntry>;

/** Payload: the bytes in the pipe. */
export const pipeDataEntry = message('pipe_data_entry', {
  pipeId: required(1, u32),
  bytes: required(2, u32),
  /** F_GETPIPE_SZ */
  size: optional(3, u32),
  /** ours: lengths of the packets of a pipe in packet mode, in order */
  packets: repeated(5000, u32),
});
export type PipeDataEntry = Infer<typeof pipeDataEntry>;

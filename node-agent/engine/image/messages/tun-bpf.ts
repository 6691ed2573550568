// Tun devices and BPF maps: members of files.img, netdev-NSID.img and bpfmap-data.img.
import {
  bool,
  i32,
  type Infer,
  message,
  optional,
  required,
  sint32,
  string,
  u32,
  u64,
} from '../codec.ts';
import { fownEntry } from './file-owner.ts';

export const tunfileEntry = message('tunfile_entry', {
  id: required(1, u32),
  netdev: optional(2, string),
  detached: optional(3, bool),
  nsId: optional(4, u32),
});
export type TunfileEntry = Infer<typeof tunfileEntry>;

export const tunLinkEntry = message('tun_link_entry', {
  flags: required(1, u32),
  owner: required(2, i32),
  group: required(3, i32),
  vnethdr: required(4, u32),
  sndbuf: required(5, u32),
});
export type TunLinkEntry = Infer<typeof tunLinkEntry>;

export const bpfmapFileEntry = message('bpfmap_file_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  pos: required(3, u64),
  fown: required(4, fownEntry),
  mapType: required(5, u32),
  keySize: required(6, u32),
  valueSize: required(7, u32),
  mapId: required(8, u32),
  maxEntries: required(9, u32),
  mapFlags: required(10, u32),
  memlock: required(11, u64),
  frozen: required(12, bool),
  mapName: required(13, string),
  ifindex: required(14, u32),
  mntId: optional(15, sint32),
  mapExtra: optional(16, u64),
});
export type BpfmapFileEntry = Infer<typeof bpfmapFileEntry>;

/** Payload: all keys, then all values. */
export const bpfmapDataEntry = message('bpfmap_data_entry', {
  mapId: required(1, u32),
  keysBytes: required(2, u32),
  valuesBytes: required(3, u32),
  count: required(4, u32),
});
export type BpfmapDataEntry = Infer<typeof bpfmapDataEntry>;

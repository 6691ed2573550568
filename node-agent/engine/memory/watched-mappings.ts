// Memory whose writes are watched for a later dump looks like memory with user-space paging. The difference counts: that would
// be refused.
import { type Mapping, readSmaps } from '../linux/procfs/maps.ts';
import { PAGE_IS, Pagemap } from '../linux/procfs/pagemap.ts';

const UFFD_WRITE_PROTECTED = 'uw';
const PAGE = 4096n;
/** Only of the asynchronous kind, which needs nobody who answers. Whoever made it himself has its descriptor, which is refused. */
const WATCHED = { inverted: 0n, mask: PAGE_IS.WPALLOWED, anyOf: PAGE_IS.WPALLOWED };

/** Mappings with their VmFlags, as the application made them. */
export function readMappings(pid: number): Mapping[] {
  const mappings = readSmaps(pid);
  if (!mappings.some(({ flags }) => flags.has(UFFD_WRITE_PROTECTED))) return mappings;
  using table = new Pagemap(pid);
  return mappings.map((mapping) => {
    const { start, flags } = mapping;
    if (!flags.has(UFFD_WRITE_PROTECTED)) return mapping;
    if (table.ranges(start, start + PAGE, WATCHED).length === 0) return mapping;
    return { ...mapping, flags: new Set([...flags].filter((f) => f !== UFFD_WRITE_PROTECTED)) };
  });
}

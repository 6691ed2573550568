// Address spaces with missing pages: what the kernel tells of them, and which page belongs where.
#include "server.h"

#include <asm/errno.h>

#define AROUND UINT64_C(65536) // of a page that is touched
#define AHEAD UINT64_C(33554432)
#define FADV_WILLNEED 3
#define NOBODY UINT64_MAX // no address

// What an address of now shall hold: the run, and through `extent` where in it; NULL for zeros.
static const struct saved_run *find(const struct server *server, const struct space *space,
                                    struct extent *extent) {
    const struct shared *const shared = server->shared;
    *extent =
        place_then(shared->log, shared->changes, space->id, extent->address, extent->length);
    // It was there once, and was dropped without a word since (MADV_FREE).
    if (!extent->there || within(0, space->done, extent)) {
        return NULL;
    }
    uint64_t low = space->next;
    uint64_t high = space->end;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (server->runs[middle].end <= extent->address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct saved_run *const run = &server->runs[low];
    return low < space->end && within(run->start, run->end, extent) ? run : NULL;
}

// Serves addresses up to `end`; where nothing was saved, only a page that somebody waits for.
static enum outcome serve_range(const struct server *server, const struct space *space,
                                uint64_t start, uint64_t end, uint64_t wanted) {
    while (start < end) {
        struct extent extent = {start, end - start, true};
        const struct saved_run *const run = find(server, space, &extent);
        enum outcome outcome = PLACED;
        if (run != NULL) {
            if (!load(server, run, extent.address, extent.length)) {
                return CHANGING;
            }
            outcome = put(server, space->uffd, start, server->buffer, extent.length);
        } else if (start == wanted) {
            extent.length = PAGE;
            outcome = put(server, space->uffd, start, server->zeros, PAGE);
        }
        if (outcome != PLACED) {
            return outcome;
        }
        start += extent.length;
    }
    return PLACED;
}

void drop(const struct server *server, struct space *space) {
    struct shared *const shared = server->shared;
    raw_call3(__NR_close, space->uffd, 0, 0);
    space->uffd = NO_DESCRIPTOR;
    while (shared->used > 0 && shared->spaces[shared->used - 1].uffd == NO_DESCRIPTOR) {
        shared->used--;
    }
}

// The page itself first. Whoever cannot be served because of a change waits until it was read.
void serve_fault(const struct server *server, uint64_t place, uint64_t address) {
    struct shared *const shared = server->shared;
    struct space *const space = &shared->spaces[place];
    const uint64_t page = address & ~(PAGE - 1);
    const uint64_t block = page & ~(AROUND - 1);
    if (space->uffd == NO_DESCRIPTOR) {
        return;
    }
    enum outcome outcome = serve_range(server, space, page, block + AROUND, page);
    if (outcome == PLACED && serve_range(server, space, block, page, NOBODY) == ENDED) {
        outcome = ENDED;
    }
    if (outcome == ENDED) {
        drop(server, space);
    } else if (outcome == CHANGING && shared->waiting < MOST_WAITING) {
        shared->faults[shared->waiting] = (struct fault){place, address};
        shared->waiting++;
    } else if (outcome == CHANGING) {
        wake(space->uffd, page, PAGE);
    }
}

// The place that a child has from an earlier try, or a free one; NULL: there is none.
static struct space *place_for(struct shared *shared, uint64_t id) {
    struct space *free = NULL;
    for (uint64_t i = 0; i < shared->used; i++) {
        struct space *const space = &shared->spaces[i];
        if (space->uffd != NO_DESCRIPTOR && space->id == id) {
            return space;
        }
        if (space->uffd == NO_DESCRIPTOR && free == NULL) {
            free = space;
        }
    }
    return free != NULL || shared->used == MOST_SPACES ? free : &shared->spaces[shared->used++];
}

// A child has the changes of its parent behind it, and misses what its parent misses.
static bool add_child(const struct server *server, const struct space *parent) {
    struct shared *const shared = server->shared;
    const uint64_t fork = shared->changes;
    const uint64_t id = server->plan->spaces + fork;
    uint64_t next = fork + 1;
    for (uint64_t i = 0; i < fork; i++) {
        if (shared->log[i].space != parent->id) {
            continue;
        }
        if (next + 1 == MOST_CHANGES) {
            return false;
        }
        shared->log[next] = shared->log[i];
        shared->log[next].space = id;
        next++;
    }
    struct space *const child = place_for(shared, id);
    if (child == NULL) {
        return false;
    }
    child->id = id;
    child->done = parent->done;
    child->next = parent->next;
    child->end = parent->end;
    IN_ORDER;
    child->uffd = (int64_t)shared->log[fork].message.arg.fork.ufd;
    shared->log[next].message.event = 0;
    IN_ORDER;
    shared->changes = next;
    return true;
}

static void take(const struct server *server, uint64_t place) {
    struct shared *const shared = server->shared;
    const struct uffd_msg *const message = &shared->log[shared->changes].message;
    if (message->event == UFFD_EVENT_PAGEFAULT) {
        serve_fault(server, place, message->arg.pagefault.address);
    } else if (shared->changes + 1 == MOST_CHANGES ||
               (message->event == UFFD_EVENT_FORK &&
                !add_child(server, &shared->spaces[place]))) {
        SAY("too many forks or changes of memory: the restored processes are killed");
        give_up(server);
        wait_for_ever(); // a child may be left that nobody knows
    } else if (message->event != UFFD_EVENT_FORK) {
        shared->log[shared->changes + 1].message.event = 0;
        IN_ORDER;
        shared->changes++;
    }
}

// The kernel writes straight into the log: what was read is known to the next process, too,
// whenever this one is killed.
void listen(const struct server *server, uint64_t place) {
    struct shared *const shared = server->shared;
    struct space *const space = &shared->spaces[place];
    while (space->uffd != NO_DESCRIPTOR) {
        struct change *const change = &shared->log[shared->changes];
        change->message.event = 0;
        change->space = space->id;
        const int64_t got = raw_call3(__NR_read, space->uffd, address_of(&change->message),
                                      sizeof(change->message));
        if (got != sizeof(change->message)) {
            return;
        }
        take(server, place);
    }
}

void take_last(const struct server *server) {
    const struct shared *const shared = server->shared;
    const struct change *const last = &shared->log[shared->changes];
    if (last->message.event == 0 || last->message.event == UFFD_EVENT_PAGEFAULT) {
        return;
    }
    for (uint64_t i = 0; i < shared->used; i++) {
        if (shared->spaces[i].uffd != NO_DESCRIPTOR && shared->spaces[i].id == last->space) {
            take(server, i);
            return;
        }
    }
}

enum outcome fill(const struct server *server, struct space *space) {
    const struct shared *const shared = server->shared;
    if (space->next == space->end) {
        return ENDED;
    }
    const struct saved_run *const run = &server->runs[space->next];
    const uint64_t address = space->done > run->start ? space->done : run->start;
    if (address >= run->end) {
        space->next++;
        return PLACED;
    }
    const uint64_t left = run->end - address;
    const struct extent now = place_now(shared->log, shared->changes, space->id, address,
                                        left < STEP ? left : STEP);
    if (now.there) {
        const uint64_t offset = run->offset + (address - run->start);
        if (offset % (AHEAD / 4) < STEP) {
            raw_call4(__NR_fadvise64, run->file, (int64_t)offset, AHEAD, FADV_WILLNEED);
        }
        if (!load(server, run, address, now.length)) {
            return CHANGING;
        }
        const enum outcome outcome =
            put(server, space->uffd, now.address, server->buffer, now.length);
        if (outcome != PLACED) {
            return outcome;
        }
    }
    space->done = address + now.length;
    return PLACED;
}

// The page server's own state, and its parts.
#ifndef DIAPAUSE_SERVER_H
#define DIAPAUSE_SERVER_H

#include "../raw-call.h"
#include "changes.h"
#include "plan.h"

#include <asm/poll.h>
#include <asm/unistd.h>

#define NAME "diapause-pages"
#define PAGE UINT64_C(4096)
#define STEP UINT64_C(262144) // read and placed at once: a fault waits that long
#define MOST_SPACES (4 * UINT64_C(PAGE_SPACES_MAX)) // with those that are forked meanwhile
#define MOST_CHANGES (UINT64_C(1) << 20)
#define MOST_WAITING 256
#define NO_DESCRIPTOR (-1)

#define SAY(text) raw_call3(__NR_write, 2, address_of(NAME ": " text "\n"), sizeof(NAME text) + 2)

// What was written before is in memory before what comes after: both processes use it, and one may
// be killed between any two instructions.
#define IN_ORDER __asm__ volatile("" ::: "memory")

/** An address space with missing pages. */
struct space {
    uint64_t id;
    int64_t uffd;  // NO_DESCRIPTOR: a free place
    uint64_t done; // what was saved below this address is in place, or no longer wanted
    uint64_t next; // run
    uint64_t end;
};

struct fault {
    uint64_t place; // of the space, in the table
    uint64_t address;
};

/** Outlives each of the two processes. Every step leaves it such that the step can be done again. */
struct shared {
    uint64_t changes;
    uint64_t waiting;
    uint64_t used; // places of spaces, free ones in between included
    uint64_t deaths;
    uint64_t probed;
    uint64_t lost; // pages cannot be read: whoever touches one is ended
    struct fault faults[MOST_WAITING];
    struct space spaces[MOST_SPACES];
    struct change log[MOST_CHANGES];
};

struct server {
    const struct page_plan *plan;
    const struct saved_run *runs;
    const int64_t *processes;
    struct shared *shared;
    uint8_t *buffer;
    const uint8_t *zeros;
    struct pollfd *polls; // the holder, then the spaces by their places
};

enum outcome {
    PLACED,
    CHANGING, // the kernel has a change to tell first
    ENDED,
};

// placing.c

/** Reads saved pages into the buffer. Returns false when that failed; everybody was killed then. */
bool load(const struct server *server, const struct saved_run *run, uint64_t address,
          uint64_t length);

/** Puts bytes of this process at an address of a space. A page that is there already stays. */
enum outcome put(const struct server *server, int64_t uffd, uint64_t at, const uint8_t *from,
                 uint64_t length);

/** Those who wait for pages in a range look again, and are heard again. */
void wake(int64_t uffd, uint64_t start, uint64_t length);

/** Has the process of a space ended, or begun another program? */
bool has_ended(const struct server *server, int64_t uffd);

/**
 * The restored processes must not go on without their pages: they are killed, and nothing is given
 * back before the last of them has ended. What they have forked since ends where it touches one.
 */
void give_up(const struct server *server);

/** Nothing is given back any more: whoever touches a missing page waits for ever. */
_Noreturn void wait_for_ever(void);

// spaces.c

/** Reads everything that the kernel has to tell of a space, and serves those who wait. */
void listen(const struct server *server, uint64_t place);

/** Does again what was read and perhaps not done. */
void take_last(const struct server *server);

void serve_fault(const struct server *server, uint64_t place, uint64_t address);

/** Brings the next saved pages of a space that nobody has asked for. ENDED: there are none. */
enum outcome fill(const struct server *server, struct space *space);

/** Nothing is missing any more, or nobody is there who could miss it. */
void drop(const struct server *server, struct space *space);

#endif

// Gives restored processes the pages that they miss: those that are touched at once, all others one
// after the other. Two processes with one table of descriptors and one memory: one serves, the
// other one holds both and puts another one in its place when it ends. Without a holder the kernel
// would put zeros for missing pages.
#include "server.h"

#include <asm/errno.h>
#include <asm/mman.h>
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#define MOST_DEATHS 16
#define LOWEST UINT64_C(65536)
#define HIGHEST UINT64_C(0x7ffffffff000)
#define SIGSET_BYTES 8
#define SEEK_TO_END 2

static __attribute__((noinline)) _Noreturn void leave(int64_t status) {
    for (;;) {
        raw_call3(__NR_exit_group, status, 0, 0);
    }
}

static void *map(uint64_t bytes, int64_t protection, int64_t flags, int64_t file) {
    const int64_t arguments[6] = {0, (int64_t)bytes, protection, flags, file, 0};
    const int64_t address = raw_call6(__NR_mmap, arguments);
    if (failed(address)) {
        leave(-address);
    }
    return (void *)(uintptr_t)address;
}

// Returns how many of the polled descriptors have something to say; 0 when there are no spaces.
static uint64_t ask(const struct server *server, int64_t holder, int64_t millis) {
    const struct shared *const shared = server->shared;
    struct pollfd *const polls = server->polls;
    polls[0] = (struct pollfd){.fd = (int32_t)holder, .events = POLLIN};
    for (uint64_t i = 0; i < shared->used; i++) {
        polls[i + 1] = (struct pollfd){.fd = (int32_t)shared->spaces[i].uffd, .events = POLLIN};
    }
    raw_call3(__NR_poll, address_of(polls), (int64_t)shared->used + 1, millis);
    return shared->used;
}

// Returns whether anything could be done.
static bool fill_one(const struct server *server) {
    struct shared *const shared = server->shared;
    for (uint64_t i = 0; i < shared->used; i++) {
        struct space *const space = &shared->spaces[i];
        if (space->uffd == NO_DESCRIPTOR) {
            continue;
        }
        const enum outcome outcome = fill(server, space);
        if (outcome == ENDED) {
            drop(server, space);
        }
        if (outcome != CHANGING) {
            return true;
        }
    }
    return false;
}

// Many children end long before it is their turn.
static void probe_one(const struct server *server) {
    struct shared *const shared = server->shared;
    shared->probed = shared->probed + 1 < shared->used ? shared->probed + 1 : 0;
    struct space *const space = &shared->spaces[shared->probed];
    if (shared->used > 1 && space->uffd != NO_DESCRIPTOR && has_ended(server, space->uffd)) {
        drop(server, space);
    }
}

// Returns true when nothing is missing any more, false when nobody holds any more.
static bool serve(const struct server *server, int64_t holder) {
    struct shared *const shared = server->shared;
    for (bool busy = true;;) {
        const uint64_t asked = ask(server, holder, busy ? 0 : 1);
        if (asked == 0) {
            return true;
        }
        if (server->polls[0].revents != 0) {
            return false;
        }
        for (uint64_t i = 0; i < asked; i++) {
            if (server->polls[i + 1].revents != 0) {
                listen(server, i);
            }
        }
        const uint64_t waiting = shared->waiting;
        shared->waiting = 0;
        for (uint64_t i = 0; i < waiting; i++) {
            serve_fault(server, shared->faults[i].place, shared->faults[i].address);
        }
        busy = fill_one(server);
        probe_one(server);
    }
}

// Goes on where another one was ended in the midst of a step.
static void resume(const struct server *server) {
    struct shared *const shared = server->shared;
    for (uint64_t i = 0; i < shared->used; i++) {
        struct space *const space = &shared->spaces[i];
        if (raw_call3(__NR_fcntl, space->uffd, F_GETFD, 0) == -EBADF) {
            space->uffd = NO_DESCRIPTOR;
        }
    }
    take_last(server);
    shared->waiting = 0;
    for (uint64_t i = 0; i < shared->used; i++) {
        if (shared->spaces[i].uffd != NO_DESCRIPTOR) {
            wake(shared->spaces[i].uffd, LOWEST, HIGHEST - LOWEST);
        }
    }
}

// Waits for the one who serves. When it was killed, another one is wanted.
static void watch(const struct server *server, int64_t child) {
    struct shared *const shared = server->shared;
    int32_t status = 0;
    while (raw_call4(__NR_wait4, child, address_of(&status), 0, 0) == -EINTR) {
    }
    if ((status & 0x7f) == 0) {
        leave(status >> 8);
    }
    if (++shared->deaths == MOST_DEATHS) {
        SAY("ended again and again: the restored processes are killed");
        give_up(server);
    }
}

// Whoever comes here holds, and lets another one serve. That one comes here when its holder ends.
static _Noreturn void hold(const struct server *server) {
    for (;;) {
        const int64_t self = raw_call3(__NR_getpid, 0, 0, 0);
        const int64_t holder = raw_call3(__NR_pidfd_open, self, 0, 0);
        const int64_t child = raw_call4(__NR_clone, CLONE_FILES | SIGCHLD, 0, 0, 0);
        if (child == 0) {
            resume(server);
            if (serve(server, holder)) {
                leave(server->shared->lost != 0);
            }
        } else if (failed(child)) {
            raw_call3(__NR_poll, 0, 0, 1);
        } else {
            watch(server, child);
        }
        raw_call3(__NR_close, holder, 0, 0);
    }
}

static void fill_table(struct shared *shared, const struct page_plan *plan,
                       const struct planned_space *planned) {
    shared->used = plan->spaces;
    for (uint64_t i = 0; i < MOST_SPACES; i++) {
        shared->spaces[i].uffd = NO_DESCRIPTOR;
    }
    for (uint64_t i = 0; i < plan->spaces; i++) {
        const struct planned_space *const one = &planned[i];
        shared->spaces[i] = (struct space){i, one->uffd, 0, one->first_run, one->end_run};
    }
}

// Called by _start. Descriptors: 0 is the plan, 2 is where troubles are told; the plan knows more.
__attribute__((used)) _Noreturn void start(void);
_Noreturn void start(void) {
    const uint64_t all_signals = UINT64_MAX;
    raw_call4(__NR_rt_sigprocmask, SIG_BLOCK, address_of(&all_signals), 0, SIGSET_BYTES);
    raw_call3(__NR_prctl, PR_SET_NAME, address_of(NAME), 0);
    raw_call3(__NR_chdir, address_of("/"), 0, 0); // no volume stays in use
    const uint64_t bytes = (uint64_t)raw_call3(__NR_lseek, 0, 0, SEEK_TO_END);
    const struct page_plan *const plan = map(bytes, PROT_READ, MAP_PRIVATE, 0);
    const struct planned_space *const planned = (const struct planned_space *)(plan + 1);
    const struct saved_run *const runs = (const struct saved_run *)(planned + plan->spaces);
    const int64_t rights = PROT_READ | PROT_WRITE;
    const int64_t own = MAP_PRIVATE | MAP_ANONYMOUS;
    const int64_t common = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    const struct server server = {
        .plan = plan,
        .runs = runs,
        .processes = (const int64_t *)(runs + plan->runs),
        .shared = map(sizeof(struct shared), rights, common, NO_DESCRIPTOR),
        .buffer = map(STEP, rights, own, NO_DESCRIPTOR),
        .zeros = map(PAGE, rights, own, NO_DESCRIPTOR),
        .polls = map((MOST_SPACES + 1) * sizeof(struct pollfd), rights, own, NO_DESCRIPTOR),
    };
    fill_table(server.shared, plan, planned);
    hold(&server);
}

__asm__(".globl _start\n"
        "_start:\n"
        "    and $-16, %rsp\n"
        "    call start\n");

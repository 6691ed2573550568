// Saved pages from their file into a restored process.
#include "server.h"

#include <asm/errno.h>
#include <asm/signal.h>

// Linux 6.6; headers may be older.
#define UFFDIO_POISON_NUMBER INT64_C(0xc020aa08)
#define PROBED UINT64_C(4096) // no registered memory lies there

static int64_t control(int64_t uffd, uint64_t number, void *argument) {
    return raw_call3(__NR_ioctl, uffd, (int64_t)number, address_of(argument));
}

_Noreturn void wait_for_ever(void) {
    for (;;) {
        raw_call3(__NR_pause, 0, 0, 0);
    }
}

void give_up(const struct server *server) {
    const struct page_plan *const plan = server->plan;
    for (uint64_t i = 0; i < plan->processes; i++) {
        raw_call4(__NR_pidfd_send_signal, server->processes[i], SIGKILL, 0, 0);
    }
    for (uint64_t i = 0; i < plan->processes; i++) {
        struct pollfd end = {.fd = (int32_t)server->processes[i], .events = POLLIN};
        while (raw_call3(__NR_poll, address_of(&end), 1, -1) == -EINTR) {
        }
    }
    server->shared->lost = 1;
}

void wake(int64_t uffd, uint64_t start, uint64_t length) {
    struct uffdio_range range = {start, length};
    control(uffd, UFFDIO_WAKE, &range);
}

// One call. Lost pages are marked, so that who touches them gets a SIGBUS.
static int64_t place(const struct server *server, int64_t uffd, uint64_t at, const uint8_t *from,
                     uint64_t length, uint64_t *placed) {
    int64_t result;
    int64_t moved;
    if (server->shared->lost == 0 || from == server->zeros) {
        struct uffdio_copy copy = {
            .dst = at, .src = (uint64_t)address_of(from), .len = length};
        result = control(uffd, UFFDIO_COPY, &copy);
        moved = copy.copy;
    } else {
        uint64_t poison[4] = {at, length, 0, 0};
        result = control(uffd, UFFDIO_POISON_NUMBER, poison);
        moved = (int64_t)poison[3];
    }
    *placed = result == 0 ? length : moved > 0 ? (uint64_t)moved : 0;
    return result;
}

bool has_ended(const struct server *server, int64_t uffd) {
    uint64_t placed;
    return place(server, uffd, PROBED, server->zeros, PAGE, &placed) == -ESRCH;
}

// An answer that nobody has foreseen.
static void refuse(const struct server *server) {
    if (server->shared->lost != 0) {
        SAY("lost pages cannot be marked (Linux 6.6): whoever touches one waits for ever");
        wait_for_ever();
    }
    SAY("saved pages cannot be placed: the restored processes are killed");
    give_up(server);
}

enum outcome put(const struct server *server, int64_t uffd, uint64_t at, const uint8_t *from,
                 uint64_t length) {
    const uint64_t start = at;
    uint64_t step = length;
    bool missed = false;
    bool skipped = false;
    while (at < start + length) {
        const uint64_t left = start + length - at;
        const uint64_t size = left < step ? left : step;
        uint64_t placed;
        const int64_t result = place(server, uffd, at, from + (at - start), size, &placed);
        if (placed > 0) {
            at += placed;
            missed = false;
        } else if (result == -EEXIST || (result == -ENOENT && missed)) {
            // The second ENOENT says that no change was left to be read: nobody wants the page.
            at += PAGE;
            missed = false;
            skipped = true;
        } else if (result == -ENOENT) {
            // mprotect(2) has cut the area in two, or a change began when the kernel had just
            // looked for one.
            missed = size == PAGE;
            step = PAGE;
        } else if (result == -ESRCH) {
            return ENDED;
        } else {
            if (result != -EAGAIN && result != -ENOMEM) {
                refuse(server);
            }
            return CHANGING;
        }
    }
    if (skipped) {
        wake(uffd, start, length);
    }
    return PLACED;
}

bool load(const struct server *server, const struct saved_run *run, uint64_t address,
          uint64_t length) {
    const uint64_t offset = run->offset + (address - run->start);
    for (uint64_t done = 0; done < length && server->shared->lost == 0;) {
        const int64_t got = raw_call4(__NR_pread64, run->file, address_of(server->buffer + done),
                                      (int64_t)(length - done), (int64_t)(offset + done));
        if (got <= 0 && got != -EINTR) {
            SAY("saved pages cannot be read: the restored processes are killed");
            give_up(server);
            return false;
        }
        done += got > 0 ? (uint64_t)got : 0;
    }
    return true;
}

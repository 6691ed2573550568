// The injected interpreter: runs a batch of system calls inside the application, then hands the
// thread back. Position independent, no libc, no static data. The same blob serves the engine's own
// process (spawn, run_batch).
#include "protocol.h"
#include "raw-call.h"

#include <asm/errno.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/wait.h>

#define PAGE_BYTES 4096u
#define SIGSET_BYTES 8
// Ranges of one vmsplice: scattered single pages would cost one call each otherwise.
#define PUMP_PIECES 16u

static const uint64_t SIGPIPE_SET = UINT64_C(1) << (SIGPIPE - 1);

static void leave(int64_t status) {
    for (;;) {
        raw_call3(__NR_exit_group, status, 0, 0);
    }
}

static bool pipe_signal_pending(void) {
    uint64_t pending = 0;
    raw_call3(__NR_rt_sigpending, address_of(&pending), SIGSET_BYTES, 0);
    return (pending & SIGPIPE_SET) != 0;
}

// A dead reader means a dead engine, and the SIGPIPE of the failed call would kill the application
// as soon as its signal mask is back. All signals are blocked during a batch, so it is still
// pending and can be taken away.
static void forget_pipe_signal(void) {
    const uint64_t set = SIGPIPE_SET;
    const int64_t now[2] = {0, 0}; // struct timespec
    raw_call4(__NR_rt_sigtimedwait, address_of(&set), 0, address_of(now), SIGSET_BYTES);
}

// vmsplice(2) answers EAGAIN only to SPLICE_F_NONBLOCK, which the pump does not set. Should a
// kernel heed O_NONBLOCK too, as splice(2) does, the pump waits instead of giving up.
static void wait_for_room(int64_t pipe) {
    struct {
        int32_t fd;
        int16_t events, happened;
    } poll = {(int32_t)pipe, POLLOUT, 0};
    raw_call3(__NR_poll, address_of(&poll), 1, -1);
}

// Moves every byte of the pieces into the pipe and counts them down to nothing. vmsplice comes back
// short whenever the pipe is full. Returns 0 or -errno.
static int64_t splice_all(int64_t pipe, struct range *piece, const struct range *end) {
    while (piece < end) {
        int64_t moved = raw_call4(__NR_vmsplice, pipe, address_of(piece), end - piece, 0);
        if (moved == -EINTR) {
            continue;
        }
        if (moved == -EAGAIN) {
            wait_for_room(pipe);
            continue;
        }
        if (moved <= 0) {
            return moved == 0 ? -EIO : moved;
        }
        while (moved > 0) {
            const uint64_t left = (uint64_t)moved;
            const uint64_t step = piece->length < left ? piece->length : left;
            piece->base += step;
            piece->length -= step;
            moved -= (int64_t)step;
            if (piece->length == 0) {
                piece++;
            }
        }
    }
    return 0;
}

// A page in a pipe is held by reference: it may leave the address space before the reader took it.
// An area that cannot be dropped (locked, special) merely stays.
static void drop(const struct range *piece, const struct range *end) {
    for (; piece < end; piece++) {
        raw_call3(__NR_madvise, (int64_t)piece->base, (int64_t)piece->length, MADV_DONTNEED);
    }
}

static int64_t pump_pages(int64_t pipe, const struct range *range, uint64_t count, uint64_t flags) {
    const bool was_pending = pipe_signal_pending();
    const struct range *const last = range + count;
    uint64_t offset = 0;
    int64_t sent = 0;
    while (range < last) {
        struct range whole[PUMP_PIECES], rest[PUMP_PIECES];
        uint64_t room = PUMP_SLICE_BYTES;
        uint32_t pieces = 0;
        while (pieces < PUMP_PIECES && range < last && room > 0) {
            const uint64_t left = range->length - offset;
            const uint64_t step = left < room ? left : room;
            if (step > 0) {
                whole[pieces] = rest[pieces] = (struct range){range->base + offset, step};
                pieces++;
            }
            room -= step;
            offset += step;
            if (offset == range->length) {
                range++;
                offset = 0;
            }
        }
        const int64_t error = splice_all(pipe, rest, rest + pieces);
        if (error == -EPIPE && !was_pending) {
            forget_pipe_signal();
        }
        if (error < 0) {
            return error;
        }
        if (flags & PUMP_DROP) {
            drop(whole, whole + pieces);
        }
        sent += (int64_t)(PUMP_SLICE_BYTES - room);
    }
    return sent;
}

static bool is_zero_page(const uint64_t *word) {
    for (const uint64_t *end = word + PAGE_BYTES / sizeof(*word); word < end; word += 8) {
        if (word[0] | word[1] | word[2] | word[3] | word[4] | word[5] | word[6] | word[7]) {
            return false;
        }
    }
    return true;
}

static int64_t scan_for_zero(uintptr_t page, uint64_t pages, uint8_t *bitmap) {
    int64_t found = 0;
    uint32_t bits = 0;
    for (uint64_t i = 0; i < pages; i++, page += PAGE_BYTES) {
        if (is_zero_page((const uint64_t *)page)) {
            bits |= 1u << (i % 8);
            found++;
        }
        if (i % 8 == 7 || i + 1 == pages) {
            bitmap[i / 8] = (uint8_t)bits;
            bits = 0;
        }
    }
    return found;
}

static int64_t perform(int64_t nr, const int64_t a[6]) {
    switch (nr) {
    case CALL_PAGE_PUMP:
        return pump_pages(a[0], (const struct range *)a[1], (uint64_t)a[2], (uint64_t)a[3]);
    case CALL_ZERO_SCAN:
        return scan_for_zero((uintptr_t)a[0], (uint64_t)a[1], (uint8_t *)a[2]);
    case CALL_LOAD:
        return *(const volatile int32_t *)a[0];
    default:
        return raw_call6(nr, a);
    }
}

static void run(struct control *control, uint32_t first, uint32_t end) {
    struct op *const ops = (struct op *)control->ops;
    for (uint32_t i = first; i < end; i++) {
        struct op *const op = ops + i;
        int64_t argument[6];
        for (uint32_t j = 0; j < 6; j++) {
            const int64_t a = op->a[j];
            argument[j] = (op->refs >> j & 1u) ? ops[a & 0xffff].ret + (a >> 16) : a;
        }
        const int64_t result = perform(op->nr, argument);
        if ((op->flags & OP_FORK_GUARD) && result == 0) {
            leave(0);
        }
        op->ret = result;
        control->done = i + 1;
        if ((op->flags & OP_STOP_ON_ERROR) && failed(result)) {
            return;
        }
    }
}

// Both are called by the entry, with the end of the batch between them; the engine calls the first
// one for batches of its own, of which only n, ops and done count.
void run_batch(struct control *control);
void run_will(struct control *control);

void run_batch(struct control *control) {
    run(control, 0, control->n);
}

void run_will(struct control *control) {
    run(control, control->n, control->n + control->will);
}

// In the child of spawn, on the parent's stack while the parent sleeps: a frame of its own, so that
// no variable of the child can share a stack slot with one the parent still needs. Returns only on
// failure, with -errno.
static __attribute__((noinline)) int64_t become(const struct spawn_request *request) {
    int64_t source[3] = {request->in, request->out, request->err};
    int64_t result;
    if (request->sid && failed(result = raw_call3(__NR_setsid, 0, 0, 0))) {
        return result;
    }
    // All sources leave the range 0-2 before anything is put there: one of them may be another
    // one's target, and dup2 of a descriptor onto itself would keep its close-on-exec flag.
    for (uint32_t i = 0; i < 3; i++) {
        if (source[i] >= 0 &&
            failed(source[i] = raw_call3(__NR_fcntl, source[i], F_DUPFD_CLOEXEC, 3))) {
            return source[i];
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        if (source[i] >= 0 && failed(result = raw_call3(__NR_dup2, source[i], i, 0))) {
            return result;
        }
    }
    const uint64_t none = 0;
    raw_call4(__NR_rt_sigprocmask, SIG_SETMASK, address_of(&none), 0, SIGSET_BYTES);
    const int64_t execute[6] = {request->fd,   address_of(""), request->argv,
                                request->envp, AT_EMPTY_PATH,  0};
    return raw_call6(__NR_execveat, execute);
}

__attribute__((used)) int64_t spawn(const struct spawn_request *request) {
    const uint64_t all = UINT64_MAX;
    uint64_t mask;
    volatile int64_t failure = 0; // written by the child: CLONE_VM
    // No handler of ours may run in the child while it shares our memory.
    raw_call4(__NR_rt_sigprocmask, SIG_SETMASK, address_of(&all), address_of(&mask), SIGSET_BYTES);
    int64_t pid =
        raw_call3(__NR_clone3, address_of(request->clone_args), sizeof(request->clone_args), 0);
    if (pid == 0) {
        failure = become(request);
        leave(127);
    }
    if (failure != 0) {
        raw_call4(__NR_wait4, pid, 0, __WALL, 0);
        pid = failure;
    }
    raw_call4(__NR_rt_sigprocmask, SIG_SETMASK, address_of(&mask), 0, SIGSET_BYTES);
    return pid;
}

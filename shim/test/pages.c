// Native tests: the page pump and the zero scan.
#define _GNU_SOURCE
#include "blob.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIG_PAGES 5000u     // more than two slices of 8 MiB
#define SCATTERED_PAGES 40u // more ranges than one vmsplice takes
#define FITTING_PAGES 16u   // an empty pipe holds them all

// Memory of the tests is a sequence of 64-bit numbers, so that every byte that gets lost or doubled
// is seen.
static uint64_t *counted_pages(uint64_t pages) {
    uint64_t *word = (uint64_t *)(void *)map_pages(pages);
    for (uint64_t i = 0; i < pages * PAGE / sizeof(*word); i++) {
        word[i] = i + 1;
    }
    return word;
}

static struct op pump_op(int pipe_end, const struct range *ranges, uint64_t count, int64_t flags) {
    return (struct op){.nr = CALL_PAGE_PUMP,
                       .a = {pipe_end, (int64_t)(uintptr_t)ranges, (int64_t)count, flags}};
}

static void read_all(int from, void *to, uint64_t bytes) {
    char *at = to;
    while (bytes > 0) {
        const ssize_t got = read(from, at, bytes);
        CHECK(got > 0 || (got < 0 && errno == EINTR));
        if (got > 0) {
            at += got;
            bytes -= (uint64_t)got;
        }
    }
}

static bool all_zero(const char *memory, uint64_t bytes) {
    return memory[0] == 0 && memcmp(memory, memory + 1, bytes - 1) == 0;
}

// One long range, many single pages with gaps, empty ranges in between. Returns bytes in all.
static uint64_t lay_out(uint64_t *memory, struct range *ranges, uint64_t *count) {
    const uintptr_t base = (uintptr_t)memory;
    uint64_t n = 0;
    ranges[n++] = (struct range){base, 0};
    ranges[n++] = (struct range){base, BIG_PAGES * PAGE};
    for (uint64_t i = 0; i < SCATTERED_PAGES; i++) {
        ranges[n++] = (struct range){base + (BIG_PAGES + 2 * i) * PAGE, PAGE};
    }
    ranges[n++] = (struct range){base, 0};
    *count = n;
    return (BIG_PAGES + SCATTERED_PAGES) * PAGE;
}

// The pump runs in a child, as in a snapshot; the parent reads and compares with its own copy of
// the memory.
static void pump_through(const struct blob *blob, int64_t flags) {
    uint64_t *memory = counted_pages(BIG_PAGES + 2 * SCATTERED_PAGES);
    static struct range ranges[SCATTERED_PAGES + 3], asked[SCATTERED_PAGES + 3];
    uint64_t count = 0;
    const uint64_t bytes = lay_out(memory, ranges, &count);
    memcpy(asked, ranges, sizeof(asked));
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct op op = pump_op(ends[1], ranges, count, flags);
        CHECK(run_batch(blob, &op, 1, 0) == 1);
        CHECK(op.ret == (int64_t)bytes);
        CHECK(memcmp(asked, ranges, sizeof(asked)) == 0);
        const char *first = (const char *)memory;
        const char *gap = first + (BIG_PAGES + 1) * PAGE;
        CHECK(all_zero(first, BIG_PAGES * PAGE) == (flags != 0));
        CHECK(all_zero(gap - PAGE, PAGE) == (flags != 0));
        CHECK(!all_zero(gap, PAGE));
        _exit(0);
    }
    close(ends[1]);
    char *got = map_pages(BIG_PAGES + SCATTERED_PAGES);
    read_all(ends[0], got, bytes);
    char extra;
    CHECK(read(ends[0], &extra, 1) == 0);
    for (uint64_t i = 0; i < count; i++) {
        CHECK(memcmp(got, (const void *)(uintptr_t)ranges[i].base, ranges[i].length) == 0);
        got += ranges[i].length;
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

void test_pump(const struct blob *blob) {
    pump_through(blob, 0);
}

void test_pump_drop(const struct blob *blob) {
    pump_through(blob, PUMP_DROP);

    // A page that nobody has read yet survives in the pipe after it left the address space.
    uint64_t *memory = counted_pages(FITTING_PAGES);
    const uint64_t bytes = FITTING_PAGES * PAGE;
    const struct range range = {(uintptr_t)memory, bytes};
    int ends[2];
    CHECK(pipe(ends) == 0);
    struct op op = pump_op(ends[1], &range, 1, PUMP_DROP);
    run_batch(blob, &op, 1, 0);
    CHECK(op.ret == (int64_t)bytes && all_zero((const char *)memory, bytes));
    uint64_t *got = (uint64_t *)(void *)map_pages(FITTING_PAGES);
    read_all(ends[0], got, bytes);
    for (uint64_t i = 0; i < bytes / sizeof(*got); i++) {
        CHECK(got[i] == i + 1);
    }
}

void test_pump_unreadable(const struct blob *blob) {
    uint64_t *memory = counted_pages(4);
    CHECK(mprotect((char *)memory + 2 * PAGE, PAGE, PROT_NONE) == 0);
    const struct range ranges[] = {{(uintptr_t)memory, PAGE}, {(uintptr_t)memory + 2 * PAGE, PAGE}};
    int ends[2];
    CHECK(pipe(ends) == 0);
    struct op ops[] = {pump_op(ends[1], ranges, COUNT(ranges), PUMP_DROP),
                       pump_op(ends[1], ranges, 0, 0), pump_op(-1, ranges, 1, 0)};
    CHECK(run_batch(blob, ops, COUNT(ops), 0) == COUNT(ops));
    CHECK(ops[0].ret == -EFAULT && ops[1].ret == 0 && ops[2].ret == -EBADF);
}

// The engine died during a pump: its application must not be killed by the SIGPIPE.
void test_pump_no_reader(const struct blob *blob) {
    const struct range range = {(uintptr_t)counted_pages(1), PAGE};
    int ends[2];
    CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
    struct op op = pump_op(ends[1], &range, 1, 0);
    CHECK(run_batch(blob, &op, 1, 0) == 1);
    CHECK(op.ret == -EPIPE);

    // A SIGPIPE that the application had pending before stays its own.
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGPIPE) == 0);
    CHECK(run_batch(blob, &op, 1, 0) == 1 && op.ret == -EPIPE);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1);
}

static volatile sig_atomic_t ticks;

static void tick(int signal) {
    (void)signal;
    ticks++;
}

// A pipe marked as not blocking, a slow reader, and signals all the time.
void test_pump_busy(const struct blob *blob) {
    uint64_t *memory = counted_pages(64 * FITTING_PAGES);
    const uint64_t bytes = 64 * FITTING_PAGES * PAGE;
    const struct range range = {(uintptr_t)memory, bytes};
    int ends[2];
    CHECK(pipe2(ends, 0) == 0);
    const pid_t reader = fork();
    CHECK(reader >= 0);
    if (reader == 0) {
        char *got = map_pages(64 * FITTING_PAGES);
        for (uint64_t at = 0; at < bytes; at += FITTING_PAGES * PAGE) {
            usleep(3000);
            read_all(ends[0], got + at, FITTING_PAGES * PAGE);
        }
        _exit(memcmp(got, memory, bytes) == 0 ? 0 : 1);
    }
    const struct itimerval often = {{0, 500}, {0, 500}};
    const struct sigaction action = {.sa_handler = tick};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    // The batch's own mask would hide the signals: this one calls the interpreter with them
    // unblocked.
    CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    struct op op = pump_op(ends[1], &range, 1, 0);
    struct op ops[] = {{.nr = 14 /* rt_sigprocmask */, .a = {SIG_UNBLOCK, 0, 0, 8}}, op};
    uint64_t alarm_set = UINT64_C(1) << (SIGALRM - 1);
    ops[0].a[1] = (int64_t)(uintptr_t)&alarm_set;
    CHECK(run_batch(blob, ops, COUNT(ops), 0) == COUNT(ops));
    const struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK(ops[0].ret == 0 && ops[1].ret == (int64_t)bytes && ticks > 0);
    int status = -1;
    CHECK(waitpid(reader, &status, 0) == reader && status == 0);
}

void test_zero_scan(const struct blob *blob) {
    const uint64_t pages = 21;
    char *memory = map_pages(pages);
    memory[3 * PAGE + PAGE - 1] = 1;
    memory[8 * PAGE] = 1;
    memory[19 * PAGE + 2000] = (char)0x80;
    uint8_t bitmap[4] = {0xff, 0xff, 0xff, 0xff};
    const int64_t base = (int64_t)(uintptr_t)memory;
    const int64_t map = (int64_t)(uintptr_t)bitmap;
    struct op ops[] = {
        {.nr = CALL_ZERO_SCAN, .a = {base, (int64_t)pages, map}},
        {.nr = CALL_ZERO_SCAN, .a = {base, 0, map}},
    };
    CHECK(run_batch(blob, ops, COUNT(ops), 0) == COUNT(ops));
    CHECK(ops[0].ret == 18 && ops[1].ret == 0);
    CHECK(bitmap[0] == 0xf7 && bitmap[1] == 0xfe && bitmap[2] == 0x17 && bitmap[3] == 0xff);
}

// Threads that block, each in one kind of call, over and over, and judge the kernel's answer.
#include "futex.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NANOS_PER_MILLI INT64_C(1000000)
#define TICK_NANOS 500000
#define SMALLEST_GAP_MICROS 3000

waiter waiters[WAITERS] = {{"relative", 0, 0}, {"absolute", 0, 0}, {"sleep", 0, 0}};
const char *forever = "waiting";
static uint32_t forever_word;

int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static struct timespec span(int64_t nanos) {
    return (struct timespec){nanos / 1000000000, nanos % 1000000000};
}

int futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout) {
    return syscall(SYS_futex, word, operation, value, timeout, NULL, FUTEX_BITSET_MATCH_ANY) < 0 ? errno : 0;
}

void sleep_millis(int64_t millis) {
    const struct timespec time = span(millis * NANOS_PER_MILLI);
    judged("sleep", nanosleep(&time, NULL) < 0 ? errno : 0);
}

void start(void *(*routine)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, routine, argument) != 0) {
        perror("pthread_create");
        exit(1);
    }
    pthread_detach(thread);
}

static void *wait_forever(void *unused) {
    const int answer = judged("futex without time-out", futex(&forever_word, FUTEX_WAIT, 0, NULL));
    if (answer != 0 || __atomic_load_n(&forever_word, __ATOMIC_SEQ_CST) == 0) {
        complain("futex without time-out ended with errno %d before it was woken", answer);
    }
    forever = "woken";
    return unused;
}

void wake_forever(void) {
    __atomic_store_n(&forever_word, 1, __ATOMIC_SEQ_CST);
    futex(&forever_word, FUTEX_WAKE, 1, NULL);
}

static void wait_relative(void) {
    static uint32_t word;
    const struct timespec timeout = span(ROUND_MILLIS * NANOS_PER_MILLI);
    const int64_t begin = now(CLOCK_MONOTONIC);
    const int answer = judged("futex with a relative time-out", futex(&word, FUTEX_WAIT, 0, &timeout));
    const int64_t millis = (now(CLOCK_MONOTONIC) - begin) / NANOS_PER_MILLI;
    if (answer != ETIMEDOUT || millis < ROUND_MILLIS) {
        complain("relative futex: errno %d after %ld of %d ms", answer, millis, ROUND_MILLIS);
    }
}

static void wait_absolute(void) {
    static uint32_t word;
    const int64_t deadline = now(CLOCK_MONOTONIC) + ROUND_MILLIS * NANOS_PER_MILLI;
    const struct timespec timeout = span(deadline);
    const int answer = judged("futex with a deadline", futex(&word, FUTEX_WAIT_BITSET, 0, &timeout));
    const int64_t early = (deadline - now(CLOCK_MONOTONIC)) / NANOS_PER_MILLI;
    if (answer != ETIMEDOUT || early > 0) {
        complain("absolute futex: errno %d, %ld ms before its deadline", answer, early);
    }
}

static void sleep_round(void) {
    struct timespec rest = {0, 0};
    const struct timespec wanted = span(ROUND_MILLIS * NANOS_PER_MILLI);
    const int64_t begin = now(CLOCK_MONOTONIC);
    const int answer = judged("nanosleep", nanosleep(&wanted, &rest) < 0 ? errno : 0);
    const int64_t millis = (now(CLOCK_MONOTONIC) - begin) / NANOS_PER_MILLI;
    if (answer != 0 || millis < ROUND_MILLIS) {
        complain("nanosleep: errno %d after %ld of %d ms", answer, millis, ROUND_MILLIS);
    }
}

static void (*const one_round[WAITERS])(void) = {wait_relative, wait_absolute, sleep_round};

static void *repeat(void *self) {
    waiter *const one = self;
    for (;;) {
        char before[ADDRESS_BYTES], after[ADDRESS_BYTES];
        pod_address(before);
        one_round[one - waiters]();
        pod_address(after);
        one->rounds++;
        one->moved += strcmp(before, after) != 0;
    }
    return NULL;
}

// Half a millisecond at a time: what it misses, the application missed.
static void *watch_gaps(void *unused) {
    const struct timespec tick = span(TICK_NANOS);
    for (int64_t last = now(CLOCK_MONOTONIC);;) {
        judged("short nanosleep", nanosleep(&tick, NULL) < 0 ? errno : 0);
        const int64_t present = now(CLOCK_MONOTONIC);
        if (present - last >= SMALLEST_GAP_MICROS * 1000) {
            note_gap((present - last) / 1000);
        }
        last = present;
    }
    return unused;
}

void start_waits(void) {
    start(wait_forever, NULL);
    for (int i = 0; i < WAITERS; i++) {
        start(repeat, &waiters[i]);
    }
    start(watch_gaps, NULL);
}

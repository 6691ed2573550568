// One thread for each scheduling policy. SIGUSR1 prints what the kernel says of each as "report N thread ..." lines and
// then "report N end"; SIGTERM ends it with the verdict. Two reports must be equal.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// The kernel's own header and the C library's cannot be had together.
struct sched_attr {
    uint32_t size, sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime, sched_deadline, sched_period;
};

enum { NORMAL, FIFO, ROUND_ROBIN, BATCH, ISOLATED, IDLE, DEADLINE };
#define RESET_ON_FORK 1
#define MILLI 1000000ull

static const struct sched_attr wanted[] = {
    {.sched_policy = NORMAL, .sched_nice = 5},
    {.sched_policy = FIFO, .sched_priority = 3},
    {.sched_policy = ROUND_ROBIN, .sched_priority = 4, .sched_flags = RESET_ON_FORK},
    {.sched_policy = BATCH, .sched_nice = -6},
    {.sched_policy = IDLE},
    {.sched_policy = DEADLINE, .sched_runtime = MILLI, .sched_deadline = 20 * MILLI, .sched_period = 40 * MILLI},
};
#define THREADS ((int)(sizeof wanted / sizeof *wanted))

static int reports;
static volatile int born, tids[THREADS];

static void *thread(void *argument) {
    const int me = (int)(intptr_t)argument;
    struct sched_attr attributes = wanted[me];
    attributes.size = sizeof attributes;
    if (syscall(SYS_sched_setattr, 0, &attributes, 0)) printf("WRONG sched_setattr %d: %s\n", me, strerror(errno));
    tids[me] = (int)syscall(SYS_gettid);
    __atomic_fetch_add(&born, 1, __ATOMIC_SEQ_CST);
    for (;;) pause();
    return NULL;
}

static void report(void) {
    reports++;
    for (int i = 0; i < THREADS; i++) {
        struct sched_attr a = {0};
        syscall(SYS_sched_getattr, tids[i], &a, sizeof a, 0);
        printf("report %d thread %d policy %u flags %lu nice %d priority %u deadline %lu %lu %lu\n", reports, i,
               a.sched_policy, a.sched_flags, a.sched_nice, a.sched_priority, a.sched_runtime, a.sched_deadline,
               a.sched_period);
    }
    printf("report %d end\n", reports);
    fflush(stdout);
}

int main(void) {
    pthread_t t;
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&t, NULL, thread, (void *)i)) return 1;
    while (born < THREADS) usleep(1000);
    printf("ready\n");
    fflush(stdout);
    while (!sigwait(&set, &got) && got == SIGUSR1) report();
    printf("verdict wrong 0\n");
    fflush(stdout);
    return 0;
}

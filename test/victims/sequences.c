// Threads inside restartable sequences, rseq(2), which must be left whenever somebody was in the way, and registrations for
// membarrier(2). Thread 0 uses the area that the C library registered, the last one a larger area of its own.
// SIGUSR1 prints "report N wrong W ticks A B C" with the aborts of each thread; SIGTERM too, and ends it.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 3
#define AREA_BYTES 64
#define GET_REGISTRATIONS (1 << 9)
#define UNREGISTER 1

static volatile unsigned long aborts[THREADS];
static volatile int born, wrong;
static char own_area[AREA_BYTES] __attribute__((aligned(AREA_BYTES)));

static void expect(const char *what, long got, long want) {
    if (got == want) return;
    wrong++;
    printf("WRONG %s: %ld, not %ld\n", what, got, want);
    fflush(stdout);
}

static struct rseq *library_area(void) { return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset); }

// A section that never commits: whoever is in it leaves by its abort handler alone. Were the kernel not to know of it any
// more, the thread would stay there for ever.
static void abort_again_and_again(struct rseq *area, volatile unsigned long *count) {
    __asm__ volatile(
        ".pushsection __rseq_cs, \"aw\"\n"
        ".balign 32\n"
        "1: .long 0, 0\n"
        ".quad 2f, 3f - 2f, 4f\n"
        ".popsection\n"
        "5: leaq 1b(%%rip), %%rax\n"
        "movq %%rax, %[section]\n"
        "2: pause\n"
        "jmp 2b\n"
        "3: ud2\n"
        ".long 0x53053053\n"
        "4: incq (%[count])\n"
        "jmp 5b\n"
        : [section] "=m"(*(uint64_t *)((char *)area + 8))
        : [count] "r"(count)
        : "rax", "memory", "cc");
}

static void *spin(void *argument) {
    const long index = (long)argument;
    struct rseq *area = library_area();
    // On one CPU, so that they are in each other's way.
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof first, &first);
    if (index == THREADS - 1) {
        expect("unregister", syscall(SYS_rseq, area, 32, UNREGISTER, RSEQ_SIG), 0);
        area = (struct rseq *)own_area;
        expect("register", syscall(SYS_rseq, area, AREA_BYTES, 0, RSEQ_SIG), 0);
    }
    __atomic_fetch_add(&born, 1, __ATOMIC_SEQ_CST);
    abort_again_and_again(area, &aborts[index]);
    return NULL;
}

static const struct {
    const char *name;
    int registers, command;
} barriers[] = {
    {"global", MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, MEMBARRIER_CMD_GLOBAL_EXPEDITED},
    {"private", MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED},
    {"core", MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE},
    {"rseq", MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ},
};
#define BARRIERS (int)(sizeof barriers / sizeof *barriers)
static int known[BARRIERS];

static long barrier(int command) {
    const long result = syscall(SYS_membarrier, command, 0, 0);
    return result < 0 ? -errno : result;
}

static void try_barriers(void) {
    long mask = 0;
    for (int i = 0; i < BARRIERS; i++) {
        if (!known[i]) continue;
        mask |= barriers[i].registers;
        expect(barriers[i].name, barrier(barriers[i].command), 0);
    }
    const long told = barrier(GET_REGISTRATIONS);
    if (told >= 0) expect("registrations", told, mask);
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < BARRIERS; i++) known[i] = barrier(barriers[i].registers) == 0;
    pthread_t t;
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&t, NULL, spin, (void *)i)) return 1;
    while (born < THREADS) usleep(1000);
    printf("ready\n");
    fflush(stdout);
    for (int signal, reports = 1; !sigwait(&set, &signal); reports++) {
        try_barriers();
        printf("report %d wrong %d ticks %lu %lu %lu\n", reports, wrong, aborts[0], aborts[1], aborts[2]);
        fflush(stdout);
        if (signal == SIGTERM) return wrong != 0;
    }
    return 1;
}

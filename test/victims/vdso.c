// Asks the vDSO for the time, the CPU and random bytes, by the addresses that it learned at its start, and the kernel for the
// same: in a thread, in the main thread and in a child that shares its memory pages. SIGUSR1 prints "report N wrong W ticks
// A B C", SIGTERM too, and ends it.
#define _GNU_SOURCE
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LARGEST_GAP_NANOS 1000000000L

static int (*vdso_clock_gettime)(clockid_t, struct timespec *);
static int (*vdso_clock_getres)(clockid_t, struct timespec *);
static int (*vdso_gettimeofday)(struct timeval *, void *);
static time_t (*vdso_time)(time_t *);
static long (*vdso_getcpu)(unsigned *, unsigned *, void *);
static struct {
    volatile unsigned long ticks[3];
    volatile int wrong;
} *shared;

static void complain(const char *what, long got) {
    __atomic_fetch_add(&shared->wrong, 1, __ATOMIC_SEQ_CST);
    printf("WRONG %s: %ld\n", what, got);
    fflush(stdout);
}

// vDSO base is 0 in its own addresses on every kernel of today.
static void *find(const char *wanted) {
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    const Elf64_Phdr *headers = (const Elf64_Phdr *)(base + ((const Elf64_Ehdr *)base)->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    for (int i = 0; i < ((const Elf64_Ehdr *)base)->e_phnum; i++)
        if (headers[i].p_type == PT_DYNAMIC) dynamic = (const Elf64_Dyn *)(base + headers[i].p_offset);
    const char *names = NULL;
    const Elf64_Sym *symbols = NULL;
    for (; dynamic && dynamic->d_tag; dynamic++) {
        if (dynamic->d_tag == DT_STRTAB) names = base + dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_SYMTAB) symbols = (const Elf64_Sym *)(base + dynamic->d_un.d_ptr);
    }
    for (; symbols && (const char *)symbols < names; symbols++)
        if (!strcmp(names + symbols->st_name, wanted)) return (void *)(base + symbols->st_value);
    printf("no %s\n", wanted);
    exit(1);
}

static long nanos(const struct timespec *t) { return t->tv_sec * 1000000000L + t->tv_nsec; }

static void compare_clock(clockid_t clock) {
    struct timespec before, between, after;
    syscall(SYS_clock_gettime, clock, &before);
    if (vdso_clock_gettime(clock, &between)) complain("clock_gettime", clock);
    syscall(SYS_clock_gettime, clock, &after);
    // Coarse clocks stand still for some milliseconds.
    if (nanos(&between) < nanos(&before) - 20000000 || nanos(&between) > nanos(&after) + 20000000)
        complain("clock", nanos(&between) - nanos(&before));
}

static void check(void) {
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE,
                                       CLOCK_PROCESS_CPUTIME_ID, CLOCK_TAI};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) compare_clock(clocks[i]);
    struct timeval now;
    struct timespec exact, resolution, own;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (vdso_gettimeofday(&now, NULL) || labs(now.tv_sec - exact.tv_sec) > 1) complain("gettimeofday", now.tv_sec);
    if (labs(vdso_time(NULL) - exact.tv_sec) > 1) complain("time", vdso_time(NULL));
    syscall(SYS_clock_getres, CLOCK_MONOTONIC, &resolution);
    if (vdso_clock_getres(CLOCK_MONOTONIC, &own) || nanos(&own) != nanos(&resolution)) complain("clock_getres", nanos(&own));
    unsigned cpu = 12345, node = 12345;
    if (vdso_getcpu(&cpu, &node, NULL) || cpu > 4096 || node > 1024) complain("getcpu", cpu);
}

static void *tick(void *index) {
    for (;; usleep(1000)) {
        check();
        shared->ticks[(long)index]++;
    }
    return NULL;
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    vdso_clock_gettime = find("__vdso_clock_gettime");
    vdso_clock_getres = find("__vdso_clock_getres");
    vdso_gettimeofday = find("__vdso_gettimeofday");
    vdso_time = find("__vdso_time");
    vdso_getcpu = find("__vdso_getcpu");
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *common = malloc(1 << 20);
    memset(common, 7, 1 << 20);
    const pid_t child = fork();
    if (child == 0) tick((void *)2);
    pthread_t t;
    if (pthread_create(&t, NULL, tick, (void *)1)) return 1;
    while (!shared->ticks[1] || !shared->ticks[2]) usleep(1000);
    printf("ready\n");
    fflush(stdout);
    for (int signal, reports = 1; !sigwait(&set, &signal); reports++) {
        check();
        shared->ticks[0]++;
        printf("report %d wrong %d ticks %lu %lu %lu\n", reports, shared->wrong, shared->ticks[0], shared->ticks[1],
               shared->ticks[2]);
        fflush(stdout);
        if (signal == SIGTERM) break;
    }
    kill(child, SIGKILL);
    return shared->wrong != 0;
}

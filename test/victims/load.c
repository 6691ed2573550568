// Memory and threads for the benchmark. It tells the longest time that it stood still as it saw it itself, and when it
// first ran again after standing still, on CLOCK_REALTIME: CRIU gives restored programs a monotonic clock that has not moved.
// usage: load MEBIBYTES THREADS [PROCESSES [FILES SOCKETS]]: so many open files, and connected unix sockets
// SIGUSR1 prints the longest gap since the last time, SIGUSR2 checks the memory, SIGTERM ends it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WATCH_NANOS 200000
#define ANNOUNCE_SECONDS 0.005
#define COUNTERS 4
#define STACK_BYTES 65536

static volatile unsigned long counts[COUNTERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t born;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *work(void *which) {
    const long i = (long)which;
    pthread_barrier_wait(&born);
    while (i < COUNTERS) {
        counts[i]++;
        usleep(500);
    }
    pthread_mutex_lock(&lock);
    for (;;) pthread_cond_wait(&never, &lock);
    return NULL;
}

static uint64_t checksum(const uint64_t *memory, size_t words) {
    uint64_t sum = 14695981039346656037ul;
    for (size_t i = 0; i < words; i++) sum = (sum ^ memory[i]) * 1099511628211ul;
    return sum;
}

static void start_threads(int count) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    pthread_barrier_init(&born, NULL, (unsigned)count);
    for (long i = 0; i < count - 1; i++) {
        pthread_t t;
        if (pthread_create(&t, &small, work, (void *)i)) exit(1);
    }
    pthread_barrier_wait(&born);
}

// Each waits for ever and ends with its parent.
static void start_processes(int count) {
    for (int i = 1; i < count; i++) {
        const pid_t child = fork();
        if (child < 0) exit(1);
        if (child > 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
}

static void open_files(const char *program, int files, int sockets) {
    int ends[2];
    for (int i = 0; i < files; i++)
        if (open(program, O_RDONLY) < 0) exit(1);
    for (int i = 0; i < sockets; i += 2)
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) exit(1);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const size_t words = ((size_t)atoi(argv[1]) << 20) / 8;
    uint64_t *memory = mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    uint64_t x = 88172645463325252ul;
    for (size_t i = 0; i < words; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memory[i] = x;
    }
    const uint64_t before = checksum(memory, words);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    start_processes(argc > 3 ? atoi(argv[3]) : 1);
    if (argc > 5) open_files(argv[0], atoi(argv[4]), atoi(argv[5]));
    start_threads(atoi(argv[2]));
    printf("ready\n");
    fflush(stdout);
    double longest = 0;
    for (double last = now();;) {
        const struct timespec pause = {0, WATCH_NANOS};
        const int signal = sigtimedwait(&set, NULL, &pause);
        const double t = now();
        if (t - last > longest) longest = t - last;
        if (t - last > ANNOUNCE_SECONDS) printf("resumed at %.6f after %.3f ms\n", t, (t - last) * 1e3);
        if (signal == SIGTERM) return 0;
        if (signal == SIGUSR1) {
            printf("gap %.3f ms\n", longest * 1e3);
            longest = 0;
        }
        if (signal == SIGUSR2) printf("checksum %s\n", checksum(memory, words) == before ? "same" : "DIFFERENT");
        fflush(stdout);
        // What this program does on request is no gap.
        last = signal < 0 ? t : now();
    }
}

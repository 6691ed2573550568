// Counts in three threads and reports the longest time it stood still, as the application itself sees it.
// usage: counter [MEBIBYTES]; SIGUSR1 prints a line, SIGTERM prints and ends.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long counts[3];
static volatile double longest;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *count(void *which) {
    for (;;) {
        counts[(long)which]++;
        usleep(500);
    }
    return NULL;
}

static void *watch(void *unused) {
    (void)unused;
    for (double last = now();;) {
        usleep(200);
        double t = now();
        if (t - last > longest) longest = t - last;
        last = t;
    }
    return NULL;
}

static unsigned long checksum(const unsigned char *memory, size_t bytes) {
    unsigned long sum = 14695981039346656037ul;
    for (size_t i = 0; i < bytes; i += 8) sum = (sum ^ *(const unsigned long *)(memory + i)) * 1099511628211ul;
    return sum;
}

int main(int argc, char **argv) {
    size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 1) << 20;
    unsigned char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned long x = 88172645463325252ul ^ (unsigned long)getpid();
    for (size_t i = 0; i < bytes; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        *(unsigned long *)(memory + i) = x;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_t t;
    for (long i = 0; i < 3; i++) pthread_create(&t, NULL, count, (void *)i);
    pthread_create(&t, NULL, watch, NULL);
    usleep(20000);
    unsigned long before = checksum(memory, bytes);
    longest = 0;
    printf("ready pid %d checksum %lx\n", getpid(), before);
    fflush(stdout);
    for (int signal; !sigwait(&set, &signal);) {
        printf("count %lu %lu %lu gap %.3f ms checksum %s\n", counts[0], counts[1], counts[2], longest * 1e3,
               checksum(memory, bytes) == before ? "same" : "DIFFERENT");
        fflush(stdout);
        longest = 0;
        if (signal == SIGTERM) return 0;
    }
    return 1;
}

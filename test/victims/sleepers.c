// One thread on each CPU that it may run on, each in one long wait. Prints when each wait began, by CLOCK_MONOTONIC.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct timespec whole;
static cpu_set_t allowed;

static void *sleeper(void *argument) {
    const int cpu = (int)(intptr_t)argument;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one)) perror("sched_setaffinity");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("sleeper %ld on CPU %d since %ld ms\n", (long)syscall(SYS_gettid), cpu,
           now.tv_sec * 1000 + now.tv_nsec / 1000000);
    fflush(stdout);
    uint32_t word = 0;
    syscall(SYS_futex, &word, FUTEX_WAIT, 0, &whole, NULL, 0);
    return NULL;
}

int main(int argc, char **argv) {
    whole.tv_sec = argc > 1 ? atoi(argv[1]) : 600;
    if (sched_getaffinity(0, sizeof allowed, &allowed)) return 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        pthread_t thread;
        if (pthread_create(&thread, NULL, sleeper, (void *)(intptr_t)cpu)) return 1;
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) pause();
}

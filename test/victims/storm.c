// Births and deaths without end: fork, exec, vfork, posix_spawn, threads. Every child must end as it was told to.
// SIGUSR1 prints "report N wrong W ticks ...", SIGTERM too, and ends it.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORMS 2
#define PAUSE_MICROS 300
#define MAX_LINES 20

extern char **environ;
static volatile unsigned long ticks[STORMS];
static volatile int wrong;
static char *self;

static void expect(const char *what, long got, long want) {
    if (got == want) return;
    if (__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST) >= MAX_LINES) return;
    char line[200];
    const int length = snprintf(line, sizeof line, "WRONG %s: %ld, errno %d\n", what, got, errno);
    if (write(STDOUT_FILENO, line, (size_t)length) != length) _exit(3);
}

static void await(const char *what, int pid, int code) {
    int status = -1;
    expect(what, waitpid(pid, &status, 0), pid);
    expect(what, status, code << 8);
}

static void *nothing(void *argument) { return argument; }

static void one(unsigned round, int code) {
    char text[16];
    snprintf(text, sizeof text, "%d", code);
    char *const argv[] = {self, "child", text, NULL};
    pid_t pid = 0;
    pthread_t thread;
    void *result = NULL;
    switch (round % 5) {
    case 0:
        if ((pid = fork()) == 0) _exit(code);
        return await("fork", pid, code);
    case 1:
        if ((pid = fork()) == 0) {
            execv(self, argv);
            _exit(127);
        }
        return await("fork and exec", pid, code);
    case 2:
        if ((pid = vfork()) == 0) {
            execv(self, argv);
            _exit(127);
        }
        return await("vfork and exec", pid, code);
    case 3:
        expect("posix_spawn", posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
        return await("posix_spawn", pid, code);
    default:
        expect("pthread_create", pthread_create(&thread, NULL, nothing, text), 0);
        expect("pthread_join", pthread_join(thread, &result), 0);
        expect("thread's result", result == text, 1);
    }
}

static void *storm(void *which) {
    for (unsigned i = 0;; i++) {
        one(i, (int)(i % 100));
        ticks[(long)which]++;
        usleep(PAUSE_MICROS);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc == 3) return atoi(argv[2]);
    self = realpath("/proc/self/exe", NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_t t;
    for (long i = 0; i < STORMS; i++)
        if (pthread_create(&t, NULL, storm, (void *)i)) return 1;
    printf("ready\n");
    fflush(stdout);
    for (int signal, reports = 1; !sigwait(&set, &signal); reports++) {
        printf("report %d wrong %d ticks %lu %lu\n", reports, wrong, ticks[0], ticks[1]);
        fflush(stdout);
        if (signal == SIGTERM) return wrong != 0;
    }
    return 1;
}

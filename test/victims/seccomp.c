// Seccomp filters that differ from thread to thread, a strict process, and threads that share one filter. SIGUSR1 prints
// what the kernel answers to each of them as "report N NAME VALUE" lines, then "report N end". SIGTERM makes the threads
// with the shared filter synchronise one more, which works only where it is the same object; the verdict ends it.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 3

static int reports, wrong;
static int strict[2], sync_pair[2];
static pthread_barrier_t start, end;
static char line[THREADS][200];

// The call answers the error that the filter chooses; a filter of another thread does not.
static long install(int call, int error, unsigned flags) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static int answer(int call) { return syscall(call, -1, 0, 0, 0, 0) == -1 ? errno : 0; }

static void status(char *text, size_t size) {
    char path[64], row[128];
    snprintf(path, sizeof path, "/proc/self/task/%ld/status", syscall(SYS_gettid));
    FILE *file = fopen(path, "r");
    while (file && fgets(row, sizeof row, file)) {
        if (strncmp(row, "Seccomp", 7) && strncmp(row, "NoNewPrivs", 10)) continue;
        row[strcspn(row, "\n")] = 0;
        strncat(text, " ", size - strlen(text) - 1);
        strncat(text, row, size - strlen(text) - 1);
    }
    if (file) fclose(file);
}

static void *probe(void *argument) {
    const long me = (long)argument;
    if (me == 1) install(SYS_getppid, 71, 0);
    if (me == 2) install(SYS_getppid, 72, SECCOMP_FILTER_FLAG_LOG), install(SYS_getpgrp, 73, 0);
    for (;;) {
        pthread_barrier_wait(&start);
        snprintf(line[me], sizeof line[me], "getpgid %d getppid %d getpgrp %d", answer(SYS_getpgid), answer(SYS_getppid),
                 answer(SYS_getpgrp));
        status(line[me], sizeof line[me]);
        pthread_barrier_wait(&end);
    }
    return NULL;
}

static void *wait_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}

static void be_strict(void) {
    char c;
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    while (syscall(SYS_read, strict[1], &c, 1) == 1) syscall(SYS_write, strict[1], "s", 1);
    syscall(SYS_exit, 0);
}

// Its threads were born with one filter.
static void be_synchronous(void) {
    pthread_t thread;
    char c;
    signal(SIGUSR1, SIG_IGN);
    install(SYS_getpgid, 74, 0);
    for (int i = 0; i < 2; i++) pthread_create(&thread, NULL, wait_for_ever, NULL);
    while (read(sync_pair[1], &c, 1) == 1) {
        const long result = c == 'p' ? answer(SYS_getpgid) : install(SYS_getppid, 75, SECCOMP_FILTER_FLAG_TSYNC);
        c = (char)result;
        if (write(sync_pair[1], &c, 1) != 1) break;
    }
    _exit(0);
}

static int ask(int fd, char question) {
    char c = 0;
    return write(fd, &question, 1) == 1 && read(fd, &c, 1) == 1 ? c : -1;
}

static void report(void) {
    reports++;
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&end);
    for (int i = 0; i < THREADS; i++) printf("report %d thread %d %s\n", reports, i, line[i]);
    printf("report %d strict %c synchronous %d\n", reports, ask(strict[0], 'p'), ask(sync_pair[0], 'p'));
    printf("report %d end\n", reports);
    fflush(stdout);
}

int main(void) {
    pthread_t thread;
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, strict) || socketpair(AF_UNIX, SOCK_STREAM, 0, sync_pair)) return 1;
    const int strict_child = fork();
    if (strict_child == 0) be_strict();
    const int sync_child = fork();
    if (sync_child == 0) be_synchronous();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    install(SYS_getpgid, 70, 0);
    pthread_barrier_init(&start, NULL, THREADS + 1);
    pthread_barrier_init(&end, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++) pthread_create(&thread, NULL, probe, (void *)i);
    report();
    printf("ready\n");
    fflush(stdout);
    while (!sigwait(&set, &got) && got == SIGUSR1) report();
    const int synchronised = ask(sync_pair[0], 't');
    if (synchronised) wrong++, printf("WRONG synchronised: %d\n", synchronised);
    kill(strict_child, SIGKILL);
    kill(sync_child, SIGKILL);
    while (wait(NULL) > 0) continue;
    printf("verdict wrong %d\n", wrong);
    fflush(stdout);
    return wrong != 0;
}

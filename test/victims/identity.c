// Everything a process can be told apart by and nobody restores by chance. SIGUSR1 prints it all as "report N NAME VALUE"
// lines and then "report N end"; SIGTERM ends it. Two reports must be equal, line by line.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS 3
#define STACK_BYTES 65536

extern char **environ;
static int reports;
static char alternate[THREADS][STACK_BYTES];
static volatile int asked, answered, born;

static void say(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
#include <stdarg.h>
static void say(const char *name, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("report %d %s ", reports, name);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

static unsigned long hash(const void *data, size_t bytes) {
    unsigned long sum = 14695981039346656037ul;
    for (size_t i = 0; i < bytes; i++) sum = (sum ^ ((const unsigned char *)data)[i]) * 1099511628211ul;
    return sum;
}

// The kernel writes the CPU into a registered area at once, and refuses a second registration.
static void say_rseq(int index) {
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    int right = 0;
    for (int i = 0; i < 100 && !right; i++) {
        unsigned cpu = 0;
        syscall(SYS_getcpu, &cpu, NULL, NULL);
        right = area->cpu_id == cpu;
    }
    const long again = syscall(SYS_rseq, area, __rseq_size < 32 ? 32 : __rseq_size, 0, RSEQ_SIG);
    say("rseq", "thread %d cpu %s again %ld %s", index, right ? "right" : "WRONG", again, strerror(errno));
}

static void say_thread(int index) {
    char name[32] = "";
    int *tid_address = NULL;
    void *robust = NULL;
    size_t robust_bytes = 0;
    unsigned long fs = 0, gs = 0;
    stack_t stack;
    sigset_t mask;
    struct sched_param priority;
    cpu_set_t cpus;
    prctl(PR_GET_NAME, name);
    prctl(PR_GET_TID_ADDRESS, &tid_address);
    syscall(SYS_get_robust_list, 0, &robust, &robust_bytes);
    syscall(SYS_arch_prctl, 0x1003, &fs);
    syscall(SYS_arch_prctl, 0x1004, &gs);
    sigaltstack(NULL, &stack);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    sched_getparam(0, &priority);
    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof cpus, &cpus);
    const int tid = (int)syscall(SYS_gettid);
    say("thread", "%d tid %d name %s clear %p robust %p %zu fs %lx gs %lx", index, tid, name, (void *)tid_address, robust,
        robust_bytes, fs, gs);
    say("alternate-stack", "%d %p %zu flags %d", index, stack.ss_sp, stack.ss_size, stack.ss_flags);
    say("signal-mask", "%d %lx", index, hash(&mask, 8));
    say("scheduling", "%d policy %d priority %d nice %d", index, sched_getscheduler(0), priority.sched_priority,
        getpriority(PRIO_PROCESS, (id_t)tid));
    say("affinity", "%d %d cpus, first %d", index, CPU_COUNT(&cpus), CPU_ISSET(0, &cpus));
    say("timer-slack", "%d %d", index, prctl(PR_GET_TIMERSLACK));
    say("io-priority", "%d %ld", index, syscall(SYS_ioprio_get, 1, 0));
    say_rseq(index);
}

static void *thread(void *argument) {
    const int index = (int)(intptr_t)argument;
    char name[16];
    snprintf(name, sizeof name, "name of %d", index);
    prctl(PR_SET_NAME, name);
    const stack_t stack = {.ss_sp = alternate[index], .ss_size = STACK_BYTES};
    sigaltstack(&stack, NULL);
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 3 * index);
    prctl(PR_SET_TIMERSLACK, 100000 * index);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, 40 + index);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    if (index == 2) {
        const struct sched_param none = {0};
        sched_setscheduler(0, SCHED_BATCH, &none);
    }
    __atomic_fetch_add(&born, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        while (asked != index) usleep(1000);
        say_thread(index);
        answered = index;
        while (asked == index) usleep(1000);
    }
    return NULL;
}

static void say_file(const char *name, const char *path) {
    char text[4096];
    const int fd = open(path, O_RDONLY);
    const ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length < 0 ? 0 : length] = 0;
    say(name, "%zd bytes, %lx, %.20s", length, hash(text, length < 0 ? 0 : (size_t)length), strtok(text, "\n"));
}

static void say_process(void) {
    char directory[4096];
    gid_t groups[64];
    const int count = getgroups(64, groups);
    const mode_t mask = umask(0);
    umask(mask);
    say("ids", "%d %d %d %d %d", getpid(), getpgrp(), getsid(0), getuid(), getegid());
    say("groups", "%d %lx", count, hash(groups, (size_t)(count < 0 ? 0 : count) * sizeof *groups));
    say("umask", "%o", mask);
    say("cwd", "%s", getcwd(directory, sizeof directory));
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit;
        getrlimit(i, &limit);
        say("limit", "%d %lx %lx", i, limit.rlim_cur, limit.rlim_max);
    }
    int subreaper = 0, death = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
    prctl(PR_GET_PDEATHSIG, &death);
    say("prctl", "dumpable %d subreaper %d death signal %d new privileges %d keep %d thp %d", prctl(PR_GET_DUMPABLE),
        subreaper, death, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_KEEPCAPS),
        prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    say("brk", "%p", sbrk(0));
    say("auxv", "%lx %lx %lx", getauxval(AT_RANDOM), getauxval(AT_SYSINFO_EHDR), getauxval(AT_PHDR));
    say("environment", "%p %s", (void *)environ, getenv("PATH"));
    say_file("command-line", "/proc/self/cmdline");
    say_file("environ", "/proc/self/environ");
    say_file("auxv-file", "/proc/self/auxv");
    say_file("oom", "/proc/self/oom_score_adj");
    say_file("loginuid", "/proc/self/loginuid");
    say_file("coredump-filter", "/proc/self/coredump_filter");
    say_file("personality", "/proc/self/personality");
    for (int i = 1; i < 65; i++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        if (sigaction(i, NULL, &action) == 0 && (action.sa_handler || action.sa_flags))
            say("action", "%d %p %x", i, (void *)action.sa_handler, (unsigned)action.sa_flags);
    }
}

static void report(void) {
    reports++;
    say_process();
    say_thread(0);
    for (int i = 1; i < THREADS; i++) {
        asked = i;
        while (answered != i) usleep(1000);
        asked = answered = 0;
    }
    printf("report %d end\n", reports);
    fflush(stdout);
}

static void handler(int signal) { (void)signal; }

static void write_file(const char *path, const char *text) {
    const int fd = open(path, O_WRONLY);
    if (write(fd, text, strlen(text)) < 0) printf("not possible here: %s: %s\n", path, strerror(errno));
    close(fd);
}

static void change_everything(void) {
    umask(0137);
    mkdir("below", 0755);
    if (chdir("below")) exit(1);
    const struct rlimit files = {300, 500}, core = {0, 4096};
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &core);
    setpriority(PRIO_PROCESS, 0, 4);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_TIMERSLACK, 123456);
    personality(ADDR_NO_RANDOMIZE);
    syscall(SYS_ioprio_set, 1, 0, (2 << 13) | 3);
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
    const stack_t stack = {.ss_sp = alternate[0], .ss_size = STACK_BYTES};
    sigaltstack(&stack, NULL);
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART | SA_NODEFER};
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (sbrk(3 * 4096) == (void *)-1) exit(1);
    write_file("/proc/self/coredump_filter", "0x7f");
    // Once set it stays, unless the process may change it.
    write_file("/proc/self/loginuid", "4711");
}

int main(void) {
    change_everything();
    pthread_t t;
    for (long i = 1; i < THREADS; i++)
        if (pthread_create(&t, NULL, thread, (void *)i)) return 1;
    while (born < THREADS - 1) usleep(1000);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("ready\n");
    fflush(stdout);
    for (int signal; !sigwait(&set, &signal);) {
        if (signal == SIGTERM) return 0;
        report();
    }
    return 1;
}

// PID 1 of placeholder and volume-holder pods, and the small helpers of a restore: static, no libc,
// one page.
#include "raw-call.h"

#include <asm/errno.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <asm/poll.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/wait.h>

#define NAME "diapause-init"
#define VERSION "1"
#define OWN_EXECUTABLE "/proc/self/exe"
#define SIGSET_BYTES 8
#define PATH_BYTES 512 // more is ENAMETOOLONG: the path is ours, and PID 1 stays small
#define LAST_SIGNAL 64
#define STATUS_USAGE 2

#define SAY(descriptor, text) raw_call3(__NR_write, descriptor, address_of(text), sizeof(text) - 1)

static __attribute__((noinline)) _Noreturn void leave(int64_t status) {
    for (;;) {
        raw_call3(__NR_exit_group, status, 0, 0);
    }
}

// Compares up to the end of the first string, including it.
static bool equal(const char *a, const char *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

// Volume holders: whoever uses the pod's volumes holds a shared lock of this executable, and the
// kubelet unmounts them when PID 1 is gone. So PID 1 goes only after the last user. The signals
// stay blocked and do not cut it short.
static void wait_for_users(void) {
    const int64_t self = raw_call3(__NR_open, address_of(OWN_EXECUTABLE), O_RDONLY | O_CLOEXEC, 0);
    raw_call3(__NR_flock, self, LOCK_EX, 0);
}

static _Noreturn void run_as_pid_1(void) {
    // Blocked signals reach even a PID 1, for which the kernel otherwise discards those without a
    // handler.
    const uint64_t set =
        UINT64_C(1) << (SIGTERM - 1) | UINT64_C(1) << (SIGINT - 1) | UINT64_C(1) << (SIGCHLD - 1);
    raw_call4(__NR_rt_sigprocmask, SIG_BLOCK, address_of(&set), 0, SIGSET_BYTES);
    raw_call3(__NR_prctl, PR_SET_NAME, address_of(NAME), 0);
    for (;;) {
        const int64_t signal =
            raw_call4(__NR_rt_sigtimedwait, address_of(&set), 0, 0, SIGSET_BYTES);
        if (signal == SIGCHLD) {
            while (raw_call4(__NR_wait4, -1, 0, WNOHANG, 0) > 0) {
            }
        } else if (signal > 0) {
            wait_for_users();
            leave(128 + signal);
        }
    }
}

// Copies this program to a path: written under another name first, so that whoever sees the path
// can run it. Returns 0 or -errno.
static int64_t install(const char *path) {
    char temporary[PATH_BYTES];
    uint32_t length = 0;
    for (; path[length] != 0; length++) {
        if (length == sizeof(temporary) - 2) {
            return -ENAMETOOLONG;
        }
        temporary[length] = path[length];
    }
    temporary[length] = '~';
    temporary[length + 1] = 0;
    const int64_t name = address_of(temporary);
    const int64_t self = raw_call3(__NR_open, address_of(OWN_EXECUTABLE), O_RDONLY, 0);
    if (failed(self)) {
        return self;
    }
    raw_call3(__NR_unlink, name, 0, 0);
    const int64_t copy = raw_call3(__NR_open, name, O_WRONLY | O_CREAT | O_EXCL, 0700);
    if (failed(copy)) {
        return copy;
    }
    int64_t result;
    do {
        result = raw_call4(__NR_sendfile, copy, self, 0, 1 << 20);
    } while (result > 0);
    if (result == 0) {
        result = raw_call3(__NR_fchmod, copy, 0555, 0);
    }
    raw_call3(__NR_close, copy, 0, 0); // an executable that is open for writing answers ETXTBSY
    if (result == 0) {
        result = raw_call3(__NR_rename, name, address_of(path), 0);
    }
    if (result != 0) {
        raw_call3(__NR_unlink, name, 0, 0);
    }
    return result;
}

// startupProbe: the pod has started once PID 1 became the restored application. Unknown counts as
// not yet.
static bool has_started(void) {
    char comm[32];
    const int64_t file = raw_call3(__NR_open, address_of("/proc/1/comm"), O_RDONLY, 0);
    const int64_t length = raw_call3(__NR_read, file, address_of(comm), sizeof(comm) - 1);
    if (length <= 0) {
        return false;
    }
    comm[length - 1] = 0; // the line feed
    return !equal(comm, NAME);
}

// Returns 0 or -errno.
static int64_t write_number(int64_t file, uint64_t number) {
    char digits[20];
    uint32_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    const int64_t length = sizeof(digits) - first;
    // At offset 0 always: a sysctl ignores what is written further on.
    const int64_t written = raw_call4(__NR_pwrite64, file, address_of(digits + first), length, 0);
    return failed(written) ? written : 0;
}

// Sets the last pid of this process's own pid namespace as often as the other end of stdin wants:
// each request and each answer are 8 bytes. The file stays open, opening it costs more than the
// write.
static int64_t serve_last_pid(void) {
    int64_t file = -ENOENT;
    for (;;) {
        uint64_t number;
        const int64_t got = raw_call3(__NR_read, 0, address_of(&number), sizeof(number));
        if (got != sizeof(number)) {
            return got == 0 ? 0 : 1;
        }
        if (failed(file)) {
            file = raw_call3(__NR_open, address_of("/proc/sys/kernel/ns_last_pid"), O_WRONLY, 0);
        }
        const int64_t answer = failed(file) ? file : write_number(file, number);
        if (raw_call3(__NR_write, 1, address_of(&answer), sizeof(answer)) != sizeof(answer)) {
            return 1;
        }
    }
}

// Stand-in of a restored process until the engine gives it its own program. Ignored signals would
// survive execve.
static _Noreturn void stand(void) {
    const int64_t defaults[4] = {0};
    for (int64_t signal = 1; signal <= LAST_SIGNAL; signal++) {
        raw_call4(__NR_rt_sigaction, signal, address_of(defaults), 0, SIGSET_BYTES);
    }
    raw_call4(__NR_rt_sigprocmask, SIG_SETMASK, address_of(defaults), 0, SIGSET_BYTES);
    for (;;) {
        raw_call3(__NR_pause, 0, 0, 0);
    }
}

// Keeps the descriptors that it was born with open until the process ends whose pidfd is stdin.
static void hold(void) {
    raw_call3(__NR_chdir, address_of("/"), 0, 0); // no volume stays in use
    struct pollfd end = {.fd = 0, .events = POLLIN};
    while (raw_call3(__NR_poll, address_of(&end), 1, -1) == -EINTR) {
    }
}

// Called by _start with the initial stack: argc, argv[0], argv[1] ...
__attribute__((used)) _Noreturn void start(const int64_t *stack);
_Noreturn void start(const int64_t *stack) {
    const int64_t count = stack[0];
    if (count < 2) {
        run_as_pid_1();
    }
    const char *const mode = (const char *)stack[2];
    if (equal(mode, "check")) {
        leave(has_started() ? 0 : 1);
    }
    if (equal(mode, "install") && count == 3) {
        const int64_t result = install((const char *)stack[3]);
        if (result != 0) {
            SAY(2, NAME ": cannot install, see the exit code: it is the error number\n");
        }
        leave(-result);
    }
    if (equal(mode, "last-pid")) {
        leave(serve_last_pid());
    }
    if (equal(mode, "stand")) {
        stand();
    }
    if (equal(mode, "hold")) {
        hold();
        leave(0);
    }
    if (equal(mode, "version")) {
        SAY(1, NAME " " VERSION "\n");
        leave(0);
    }
    SAY(2, NAME ": usage: [install PATH | check | last-pid | stand | hold | version]\n");
    leave(STATUS_USAGE);
}

__asm__(".globl _start\n"
        "_start:\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call start\n");

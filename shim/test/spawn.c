// Native tests: the engine starts programs without a libc's help.
#define _GNU_SOURCE
#include "blob.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const environment[] = {NULL};

static struct spawn_request request_for(int file, char *const *argv) {
    const struct spawn_request request = {
        // flags, then exit_signal as the fifth
        .clone_args = {CLONE_VM | CLONE_VFORK | (int64_t)CLONE_CLEAR_SIGHAND, 0, 0, 0, SIGCHLD},
        .fd = file,
        .argv = (int64_t)(uintptr_t)argv,
        .envp = (int64_t)(uintptr_t)environment,
        .in = -1,
        .out = -1,
        .err = -1,
    };
    return request;
}

// The child's mask is empty though the caller blocks a signal. A shell would empty it itself.
static void spawn_with_blocked_signal(const struct blob *blob) {
    static char grep[] = "grep", quiet[] = "-q", status_file[] = "/proc/self/status";
    static char empty_mask[] = "^SigBlk:.0000000000000000$";
    char *const argv[] = {grep, quiet, empty_mask, status_file, NULL};
    const struct spawn_request request = request_for(open("/bin/grep", O_RDONLY | O_CLOEXEC), argv);
    sigset_t set, after;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
    const int64_t pid = blob->spawn(&request);
    CHECK(pid > 1);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &after) == 0);
    CHECK(sigismember(&after, SIGUSR1) == 1 && sigismember(&after, SIGTERM) == 0);
    int status = -1;
    CHECK(waitpid((pid_t)pid, &status, 0) == pid && status == 0);
}

// Standard output and error change places, which a plain row of dup2 would get wrong; the session
// is new.
static void spawn_with_crossed_files(const struct blob *blob) {
    static char script[] = "read -r line; [ \"$line\" = in ] || exit 3;"
                           "echo out; echo err >&2; read -r _ _ _ _ _ session _ < /proc/self/stat;"
                           "[ $session = $$ ] || exit 1; exit 9";
    static char shell[] = "sh", dash_c[] = "-c";
    char *const argv[] = {shell, dash_c, script, NULL};
    int in[2], out[2], err[2];
    CHECK(pipe2(in, O_CLOEXEC) == 0 && write(in[1], "in\n", 3) == 3);
    CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    struct spawn_request request = request_for(open("/bin/sh", O_RDONLY | O_CLOEXEC), argv);
    const int saved = dup(2);
    CHECK(dup2(err[1], 1) == 1 && dup3(out[1], 2, O_CLOEXEC) == 2);
    close(0); // a free low number must not tempt anybody
    request.in = in[0];
    request.out = 2;
    request.err = 1;
    request.sid = 1;
    const int64_t pid = blob->spawn(&request);
    CHECK(dup2(saved, 2) == 2);
    close(1);
    close(out[1]);
    close(err[1]);
    CHECK(pid > 1);
    char text[16] = {0};
    CHECK(read(out[0], text, sizeof(text)) == 4 && strcmp(text, "out\n") == 0);
    CHECK(read(err[0], text, sizeof(text)) == 4 && strcmp(text, "err\n") == 0);
    int status = -1;
    CHECK(waitpid((pid_t)pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

void test_spawn(const struct blob *blob) {
    spawn_with_blocked_signal(blob);
    spawn_with_crossed_files(blob);
}

// Whatever fails in the child comes back as the result, and nothing is left to wait for.
void test_spawn_failure(const struct blob *blob) {
    static char name[] = "none";
    char *const argv[] = {name, NULL};
    struct spawn_request request = request_for(-1, argv);
    CHECK(blob->spawn(&request) == -EBADF);
    request.fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    CHECK(blob->spawn(&request) == -EACCES);
    request.fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
    request.in = 999;
    CHECK(blob->spawn(&request) == -EBADF);
    request.clone_args[0] = CLONE_VM | CLONE_THREAD;
    CHECK(blob->spawn(&request) == -EINVAL);
    CHECK(waitpid(-1, NULL, __WALL | WNOHANG) == -1 && errno == ECHILD);
}

// Locks of every kind: POSIX ranges, OFD, flock shared with a child, leases, one of them about to be broken.
// usage: files-locks; SIGTERM verifies. Works in its current directory.
#include "descriptors.h"
#include <sys/file.h>

static int posix_file, ofd_file, flock_file, shared_file, lease_file, breaking_file, unlinked_file, high;
static pid_t child;
static volatile sig_atomic_t breaks, break_fd;

static void on_break(int signal, siginfo_t *info, void *unused) {
    (void)signal;
    (void)unused;
    breaks++;
    break_fd = info->si_fd;
}

static int lock_range(int fd, int command, short type, off_t start, off_t length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &lock);
}

static int open_new(const char *name, int flags) { return (int)must(open(name, flags | O_CREAT, 0600)); }

static void set_up(void) {
    posix_file = open_new("posix", O_RDWR);
    must(lock_range(posix_file, F_SETLK, F_WRLCK, 10, 5));
    must(lock_range(posix_file, F_SETLK, F_RDLCK, 100, 0));
    high = (int)must(dup(posix_file));
    ofd_file = open_new("ofd", O_RDWR);
    must(lock_range(ofd_file, F_OFD_SETLK, F_WRLCK, 0, 1000000000000));
    flock_file = open_new("flock", O_RDONLY);
    must(flock(flock_file, LOCK_EX));
    shared_file = open_new("shared", O_RDONLY);
    must(flock(shared_file, LOCK_SH));
    unlinked_file = open_new("unlinked", O_RDWR);
    must(flock(unlinked_file, LOCK_EX));
    must(unlink("unlinked"));
    close(open_new("lease", O_WRONLY));
    lease_file = (int)must(open("lease", O_RDONLY));
    must(fcntl(lease_file, F_SETLEASE, F_RDLCK));
    close(open_new("breaking", O_WRONLY));
    breaking_file = (int)must(open("breaking", O_RDONLY));
    must(fcntl(breaking_file, F_SETSIG, SIGRTMIN));
    must(fcntl(breaking_file, F_SETLEASE, F_WRLCK));
    expect(open("breaking", O_RDONLY | O_NONBLOCK) < 0 && errno == EWOULDBLOCK);
    expect(breaks == 1 && break_fd == breaking_file);
}

// What a process that has none of our descriptors finds: 1 locked, 0 free.
static int in_the_way(const char *name, off_t at, short type) {
    const pid_t asker = fork();
    if (asker == 0) {
        const int fd = open(name, O_RDWR);
        struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
        _exit(fcntl(fd, F_OFD_GETLK, &lock) < 0 ? 2 : lock.l_type != F_UNLCK);
    }
    int status;
    waitpid(asker, &status, 0);
    return WEXITSTATUS(status);
}

static void verify(void) {
    expect(in_the_way("posix", 9, F_WRLCK) == 0 && in_the_way("posix", 10, F_RDLCK) == 1);
    expect(in_the_way("posix", 14, F_RDLCK) == 1 && in_the_way("posix", 15, F_WRLCK) == 0);
    expect(in_the_way("posix", 1 << 30, F_WRLCK) == 1 && in_the_way("posix", 1 << 30, F_RDLCK) == 0);
    expect(in_the_way("ofd", 999999999999, F_WRLCK) == 1 && in_the_way("ofd", 1000000000000, F_WRLCK) == 0);
    expect(flock(open("flock", O_RDONLY), LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
    const int other = open("shared", O_RDONLY);
    expect(flock(other, LOCK_EX | LOCK_NB) < 0 && flock(other, LOCK_SH | LOCK_NB) == 0);
    close(other);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", unlinked_file);
    expect(flock(open(link, O_RDONLY), LOCK_SH | LOCK_NB) < 0);
    // The child has the same open file: closing ours does not end the lock, its end does.
    close(flock_file);
    expect(flock(open("flock", O_RDONLY), LOCK_SH | LOCK_NB) < 0);
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
    expect(flock(open("flock", O_RDONLY), LOCK_SH | LOCK_NB) == 0);
    expect(fcntl(lease_file, F_GETLEASE) == F_RDLCK && fcntl(breaking_file, F_GETLEASE) == F_RDLCK);
    expect(breaks == 1);
    expect(fcntl(breaking_file, F_SETLEASE, F_RDLCK) == 0);
    expect(open("breaking", O_WRONLY | O_NONBLOCK) < 0 && breaks == 2 && break_fd == breaking_file);
    // As ever, closing any descriptor of the file ends the POSIX locks of the process.
    close(high);
    expect(in_the_way("posix", 10, F_WRLCK) == 0);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_break, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN, &action, NULL);
    block_term();
    set_up();
    child = (pid_t)must(fork());
    if (child == 0) {
        const int signals[] = {SIGTERM};
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, signals[0]);
        int got;
        sigwait(&set, &got);
        _exit(0);
    }
    wait_for_term();
    verify();
    return verdict();
}

// A process that reads from a descriptor whose other side is outside of it, and the program that hands it another one.
// usage: files-outside hold KIND                starts the reader, prints `ready PID RESOURCE`, keeps the other side
//        files-outside hand-in KIND COMMAND...  runs COMMAND with a new one at 90, writes to its other side, waits for
//                                               the end of its input. At 91 is a socket, at 92 a pipe's writing end.
// KIND: pipe, file, fifo, unix, tty. Works in its current directory.
#define _GNU_SOURCE
#include "descriptors.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#define HELD 200
#define HANDED_IN 90
#define WRONG_SOCKET 91
#define WRONG_PIPE 92
#define MESSAGE "hello"

struct sides {
    int inner;
    int outer;
    char resource[64];
};

static int mount_of(int fd) {
    char path[64], line[128];
    int mount = -1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *info = fopen(path, "re");
    while (info && fgets(line, sizeof line, info)) {
        sscanf(line, "mnt_id: %d", &mount);
    }
    if (info) {
        fclose(info);
    }
    return mount;
}

static void make_terminal(struct sides *made) {
    made->outer = (int)must(posix_openpt(O_RDWR | O_NOCTTY));
    must(grantpt(made->outer));
    must(unlockpt(made->outer));
    made->inner = (int)must(open(ptsname(made->outer), O_RDWR | O_NOCTTY));
    struct termios settings;
    must(tcgetattr(made->inner, &settings));
    cfmakeraw(&settings);
    must(tcsetattr(made->inner, TCSANOW, &settings));
}

static struct sides make(const char *kind, const char *name) {
    struct sides made = {0};
    int ends[2];
    if (!strcmp(kind, "pipe")) {
        must(pipe(ends));
        made.inner = ends[0];
        made.outer = ends[1];
    } else if (!strcmp(kind, "unix")) {
        must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        made.inner = ends[0];
        made.outer = ends[1];
    } else if (!strcmp(kind, "tty")) {
        make_terminal(&made);
    } else if (!strcmp(kind, "fifo")) {
        must(mkfifo(name, 0600));
        made.outer = (int)must(open(name, O_RDWR));
        made.inner = (int)must(open(name, O_RDONLY));
        must(unlink(name));
    } else {
        made.outer = (int)must(open(name, O_WRONLY | O_CREAT | O_APPEND, 0600));
        made.inner = (int)must(open(name, O_RDONLY));
    }
    struct stat stat;
    must(fstat(made.inner, &stat));
    const char *form = !strcmp(kind, "pipe") ? "pipe:[%lu]" : "socket:[%lu]";
    if (!strcmp(kind, "pipe") || !strcmp(kind, "unix")) {
        snprintf(made.resource, sizeof made.resource, form, stat.st_ino);
    } else if (!strcmp(kind, "tty")) {
        snprintf(made.resource, sizeof made.resource, "tty[%lx:%lx]", stat.st_rdev, stat.st_dev);
    } else {
        snprintf(made.resource, sizeof made.resource, "file[%x:%lx]", mount_of(made.inner), stat.st_ino);
    }
    return made;
}

// Reads until something comes or the other side is gone; a file may still grow.
static void read_held(const char *kind) {
    char text[64];
    ssize_t length;
    while ((length = read(HELD, text, sizeof text - 1)) == 0 && !strcmp(kind, "file")) {
        usleep(10000);
    }
    if (length <= 0) {
        printf("end %s\n", length < 0 ? strerror(errno) : "of file");
        return;
    }
    text[length] = 0;
    int terminal = open("/dev/tty", O_RDWR);
    printf("got %s, %s\n", text, terminal < 0 ? "no terminal" : "a terminal");
}

static int hold(const char *kind) {
    struct sides made = make(kind, "old");
    pid_t child = (pid_t)must(fork());
    if (child == 0) {
        must(setsid());
        must(dup2(made.inner, HELD));
        if (!strcmp(kind, "tty")) {
            must(ioctl(HELD, TIOCSCTTY, 0));
        }
        must(close_range(3, HELD - 1, 0));
        printf("ready %d %s\n", getpid(), made.resource);
        read_held(kind);
        return 0;
    }
    signal(SIGCHLD, SIG_IGN);
    close(made.inner);
    for (;;) {
        pause();
    }
}

static int hand_in(const char *kind, char **command) {
    struct sides made = make(kind, "new");
    int sockets[2], pipes[2];
    must(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
    must(pipe(pipes));
    must(dup2(made.inner, HANDED_IN));
    must(dup2(sockets[0], WRONG_SOCKET));
    must(dup2(pipes[1], WRONG_PIPE));
    pid_t child = (pid_t)must(fork());
    if (child == 0) {
        must(close_range(3, HANDED_IN - 1, 0));
        execv(command[0], command);
        return 127;
    }
    int status;
    must(waitpid(child, &status, 0));
    must(close_range(HANDED_IN, HANDED_IN, 0));
    close(made.inner);
    if (status == 0) must(write(made.outer, MESSAGE, strlen(MESSAGE)));
    printf("status %d\n", WEXITSTATUS(status));
    char rest;
    while (read(0, &rest, 1) > 0) {
    }
    return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && !strcmp(argv[1], "hold")) {
        return hold(argv[2]);
    }
    if (argc > 3 && !strcmp(argv[1], "hand-in")) {
        return hand_in(argv[2], argv + 3);
    }
    return 2;
}

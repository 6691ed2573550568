// Makes namespaces of its own (mounts, System V IPC, host name, network, pids) with something in each, for the test
// that re-encodes CRIU's images. Prints `ready` from the outside once all is set up; the inside sleeps.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long need(long result, const char *what) {
    if (result >= 0) return result;
    printf("failed %s: %s\n", what, strerror(errno));
    exit(1);
}
#define NEED(call) need((long)(call), #call)

static void mounts(void) {
    NEED(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    NEED(mkdir("root", 0755));
    NEED(mount("root", "root", "tmpfs", 0, "size=8m"));
    NEED(chdir("root"));
    NEED(mkdir("proc", 0755));
    NEED(mkdir("old", 0755));
    NEED(mount("proc", "proc", "proc", 0, NULL));
    int from = (int)NEED(open("/proc/self/exe", O_RDONLY));
    int to = (int)NEED(open("self", O_CREAT | O_WRONLY, 0755));
    while (NEED(sendfile(to, from, NULL, 1 << 20)) > 0) continue;
    NEED(close(to));
    NEED(syscall(SYS_pivot_root, ".", "old"));
    NEED(chdir("/"));
    NEED(umount2("old", MNT_DETACH));
}

static void ipc(void) {
    int queue = (int)NEED(msgget(77, IPC_CREAT | 0600));
    struct {
        long type;
        char text[11];
    } message = {5, "in a queue"};
    NEED(msgsnd(queue, &message, sizeof message.text, 0));
    message.type = 6;
    NEED(msgsnd(queue, &message, 4, 0));
    NEED(msgget(78, IPC_CREAT | 0600));
    unsigned short values[3] = {1, 2, 3};
    NEED(semctl((int)NEED(semget(77, 3, IPC_CREAT | 0600)), 0, SETALL, values));
    char *segment = shmat((int)NEED(shmget(77, 10000, IPC_CREAT | 0600)), NULL, 0);
    strcpy(segment, "in a segment");
    NEED(shmdt(segment));
}

/** The program again, now started from a file inside. */
static int inside(void) {
    ipc();
    NEED(sethostname("saved", 5));
    NEED(write(STDIN_FILENO, "", 1));
    close(STDIN_FILENO);
    for (;;) pause();
    return 0;
}

static void enter(int ready) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // CRIU demands a session inside, and no descriptor that leads outside
    NEED(setsid());
    mounts();
    NEED(dup2(ready, STDIN_FILENO));
    NEED(syscall(SYS_close_range, 1, ~0U, 0));
    execl("/self", "self", "inside", (char *)NULL);
    _exit(1);
}

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "inside") == 0) return inside();
    int ready[2];
    char byte;
    NEED(pipe(ready));
    NEED(unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID));
    pid_t child = (pid_t)NEED(fork());
    if (child == 0) {
        close(ready[0]);
        enter(ready[1]);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) return 1;
    printf("ready %d\n", child);
    fflush(stdout);
    waitpid(child, NULL, 0);
    return 0;
}

// Opens as root what the user that it becomes may not open: logs, secrets, a directory, sockets; as servers do.
// usage: files-before-drop; SIGTERM verifies. PID 1 of its own namespaces; works in its current directory.
#include "descriptors.h"
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define USER 1000
#define PORT 80

static int log_file, secret, directory, hidden, handle, fifo, unlinked, memory_log, named, web;
static const struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "private/socket"};

static void open_as_root(void) {
    log_file = (int)must(open("log", O_WRONLY | O_APPEND | O_CREAT, 0600));
    must(write(log_file, "root ", 5));
    must(mkdir("private", 0700));
    directory = (int)must(open("private", O_RDONLY | O_DIRECTORY));
    secret = (int)must(open("private/secret", O_RDWR | O_CREAT, 0400));
    must(write(secret, "secret", 6));
    hidden = (int)must(open("private/secret", O_RDONLY));
    handle = (int)must(open("private/secret", O_PATH));
    must(mkfifo("private/fifo", 0600));
    fifo = (int)must(open("private/fifo", O_RDWR));
    must(write(fifo, "queued", 6));
    unlinked = (int)must(open("private/unlinked", O_RDWR | O_CREAT, 0600));
    must(write(unlinked, "unlinked", 8));
    must(unlink("private/unlinked"));
    memory_log = (int)must(open("/dev/kmsg", O_WRONLY));
    named = (int)must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(bind(named, (const struct sockaddr *)&name, sizeof name));
    must(listen(named, 5));
    web = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    must(bind(web, (const struct sockaddr *)&any, sizeof any));
    must(listen(web, 5));
}

static void drop_everything(void) {
    for (int capability = 0; capability <= 63; capability++) prctl(PR_CAPBSET_DROP, capability);
    must(setgroups(0, NULL));
    must(setresgid(USER, USER, USER));
    must(setresuid(USER, USER, USER));
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void verify(void) {
    char text[16] = {0};
    expect(getuid() == USER && open("private/secret", O_RDONLY) < 0 && errno == EACCES);
    expect(write(log_file, "user", 4) == 4 && lseek(log_file, 0, SEEK_END) == 9);
    expect(lseek(secret, 0, SEEK_CUR) == 6 && pwrite(secret, "S", 1, 0) == 1);
    expect(read(hidden, text, 6) == 6 && !memcmp(text, "Secret", 6));
    expect(write(hidden, "x", 1) < 0 && errno == EBADF);
    expect(fcntl(handle, F_GETFL) & O_PATH && leads_to(handle, "/private/secret"));
    expect(leads_to(directory, "/private") && lseek(directory, 0, SEEK_CUR) == 0);
    expect(read(fifo, text, 6) == 6 && !memcmp(text, "queued", 6));
    expect(pread(unlinked, text, 8, 0) == 8 && !memcmp(text, "unlinked", 8));
    expect(leads_to(memory_log, "/dev/kmsg") && (fcntl(memory_log, F_GETFL) & O_ACCMODE) == O_WRONLY);
    struct sockaddr_un bound = {0};
    socklen_t length = sizeof bound;
    expect(getsockname(named, (struct sockaddr *)&bound, &length) == 0 && !strcmp(bound.sun_path, name.sun_path));
    int listens = 0;
    length = sizeof listens;
    expect(getsockopt(named, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens);
    struct sockaddr_in at = {0};
    length = sizeof at;
    expect(getsockname(web, (struct sockaddr *)&at, &length) == 0 && ntohs(at.sin_port) == PORT);
}

int main(void) {
    block_term();
    open_as_root();
    drop_everything();
    wait_for_term();
    verify();
    return verdict();
}

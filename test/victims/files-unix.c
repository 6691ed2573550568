// Unix sockets: pairs of every type, names of every kind, queues with descriptors, half-closed and abandoned ones.
// usage: files-unix; SIGTERM verifies. Works in its current directory.
#include "descriptors.h"
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

static int stream[2], datagram[2], packet[2], half[2], left, passing[2], options[2];
static int listener, client, accepted, waiting, abstract_listener, abstract_client, abstract_accepted;
static int relative, named, sender, unbound, removed, removed_client, removed_accepted, gone_accepted, bound_stream;
static pid_t child;
static int to_child[2], served, from_child;

static socklen_t address(struct sockaddr_un *out, const char *name, int abstract) {
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    strcpy(out->sun_path + abstract, name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
}

static int named_socket(int type, const char *name, int abstract) {
    struct sockaddr_un at;
    const socklen_t length = address(&at, name, abstract);
    const int fd = (int)must(socket(AF_UNIX, type, 0));
    must(bind(fd, (struct sockaddr *)&at, abstract ? length : (socklen_t)sizeof at));
    return fd;
}

static int connected(int type, const char *name, int abstract) {
    struct sockaddr_un at;
    const socklen_t length = address(&at, name, abstract);
    const int fd = (int)must(socket(AF_UNIX, type, 0));
    must(connect(fd, (struct sockaddr *)&at, length));
    return fd;
}

static void send_descriptor(int over, int fd, const char *text) {
    char control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec vector = {.iov_base = (void *)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    must(sendmsg(over, &message, 0));
}

static int receive_descriptor(int from, char *text, size_t size) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {.iov_base = text, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(from, &message, MSG_DONTWAIT) < 0) return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

static void set_up_pairs(void) {
    int two[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream));
    must(write(stream[0], "one", 3));
    must(write(stream[0], "two", 3));
    must(write(stream[1], "back", 4));
    must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, datagram));
    must(write(datagram[0], "first", 5));
    must(send(datagram[0], "", 0, 0));
    must(write(datagram[0], "third", 5));
    must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet));
    must(write(packet[0], "alpha", 5));
    must(write(packet[0], "beta", 4));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, half));
    must(write(half[0], "until here", 10));
    must(shutdown(half[0], SHUT_WR));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, two));
    must(write(two[1], "heritage", 8));
    left = two[0];
    close(two[1]);
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, passing));
    must(pipe(two));
    must(write(two[1], "in the pipe", 11));
    must(write(passing[0], "before ", 7));
    send_descriptor(passing[0], two[0], "with");
    must(write(passing[0], " after", 6));
    send_descriptor(passing[0], stream[0], "known");
    // From now on the pipe lives in the queue only.
    close(two[0]);
    close(two[1]);
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, options));
    must(setsockopt(options[0], SOL_SOCKET, SO_SNDBUF, &(int){50000}, sizeof(int)));
    must(setsockopt(options[0], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
    must(setsockopt(options[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){7, 500000}, sizeof(struct timeval)));
    must(setsockopt(options[0], SOL_SOCKET, SO_PEEK_OFF, &(int){0}, sizeof(int)));
}

static void set_up_names(void) {
    char path[100];
    must((long)(getcwd(path, 60) ? 0 : -1));
    strcat(path, "/listener");
    listener = named_socket(SOCK_STREAM, path, 0);
    must(chmod(path, 0642));
    must(listen(listener, 5));
    client = connected(SOCK_STREAM, path, 0);
    accepted = (int)must(accept(listener, NULL, NULL));
    must(write(client, "to the server", 13));
    waiting = connected(SOCK_STREAM, path, 0);
    abstract_listener = named_socket(SOCK_SEQPACKET, "diapause-test-abstract", 1);
    must(listen(abstract_listener, 5));
    abstract_client = connected(SOCK_SEQPACKET, "diapause-test-abstract", 1);
    abstract_accepted = (int)must(accept(abstract_listener, NULL, NULL));
    must(mkdir("sub", 0755));
    must(chdir("sub"));
    relative = named_socket(SOCK_DGRAM, "relative", 0);
    must(chdir(".."));
    named = named_socket(SOCK_DGRAM, "named", 0);
    sender = connected(SOCK_DGRAM, "named", 0);
    must(write(sender, "queued", 6));
    unbound = (int)must(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    removed = named_socket(SOCK_STREAM, "removed", 0);
    must(listen(removed, 3));
    removed_client = connected(SOCK_STREAM, "removed", 0);
    removed_accepted = (int)must(accept(removed, NULL, NULL));
    must(unlink("removed"));
    const int gone = named_socket(SOCK_STREAM, "gone", 0);
    must(listen(gone, 3));
    const int gone_client = connected(SOCK_STREAM, "gone", 0);
    gone_accepted = (int)must(accept(gone, NULL, NULL));
    must(write(gone_client, "farewell", 8));
    close(gone_client);
    close(gone);
    bound_stream = named_socket(SOCK_STREAM, "bound", 0);
}

static int is_named(int fd, const char *name, int abstract) {
    struct sockaddr_un at;
    socklen_t length = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &length)) return 0;
    const size_t size = length - offsetof(struct sockaddr_un, sun_path);
    if (!name) return size == 0;
    if (abstract) return size == strlen(name) + 2 - 1 && !memcmp(at.sun_path + 1, name, strlen(name));
    const size_t have = strlen(at.sun_path), want = strlen(name);
    return have >= want && !strcmp(at.sun_path + have - want, name);
}

static int says(int fd, const char *text) {
    char got[256] = {0};
    const ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    return n == (ssize_t)strlen(text) && !memcmp(got, text, (size_t)n);
}

static int talks(int a, int b) {
    return write(a, "ping", 4) == 4 && says(b, "ping") && write(b, "pong", 4) == 4 && says(a, "pong");
}

static int is_empty(int fd) {
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void verify_passing(void) {
    char text[64] = {0};
    const int in_pipe = receive_descriptor(passing[1], text, sizeof text);
    expect(in_pipe >= 0 && !memcmp(text, "before with", 11));
    expect(read(in_pipe, text, sizeof text) == 11 && !memcmp(text, "in the pipe", 11));
    expect(read(in_pipe, text, 1) == 0);
    const int known = receive_descriptor(passing[1], text, sizeof text);
    expect(!memcmp(text, " afterknown", 11));
    expect(known >= 0 && write(known, "through", 7) == 7 && says(stream[1], "through"));
}

static void verify_pairs(void) {
    expect(has_cloexec(stream[0]) && says(stream[1], "onetwo") && says(stream[0], "back") && talks(stream[0], stream[1]));
    expect(says(datagram[1], "first") && says(datagram[1], "") && says(datagram[1], "third"));
    expect(is_empty(datagram[1]) && talks(datagram[0], datagram[1]));
    expect(fcntl(datagram[0], F_GETFL) & O_NONBLOCK && !(fcntl(packet[0], F_GETFL) & O_NONBLOCK));
    expect(says(packet[1], "alpha") && says(packet[1], "beta") && talks(packet[0], packet[1]));
    char c;
    expect(says(half[1], "until here") && read(half[1], &c, 1) == 0);
    expect(write(half[0], "x", 1) < 0 && errno == EPIPE && write(half[1], "on", 2) == 2 && says(half[0], "on"));
    expect(says(left, "heritage") && read(left, &c, 1) == 0 && write(left, "x", 1) < 0 && errno == EPIPE);
    verify_passing();
    int value;
    struct timeval timeout;
    socklen_t size = sizeof value;
    expect(!getsockopt(options[0], SOL_SOCKET, SO_SNDBUF, &value, &size) && value == 100000);
    expect(!getsockopt(options[0], SOL_SOCKET, SO_PASSCRED, &value, &size) && value == 1);
    expect(!getsockopt(options[0], SOL_SOCKET, SO_PEEK_OFF, &value, &size) && value == 0);
    size = sizeof timeout;
    expect(!getsockopt(options[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, &size) && timeout.tv_sec == 7);
    expect(is_empty(options[1]) && talks(options[0], options[1]));
}

static void verify_listener(void) {
    struct stat st;
    expect(!stat("listener", &st) && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0642);
    expect(says(accepted, "to the server") && talks(client, accepted));
    expect(is_named(accepted, "/listener", 0) && is_named(client, NULL, 0));
    const int late = accept(listener, NULL, NULL);
    expect(late >= 0 && talks(waiting, late));
    const int fresh = connected(SOCK_STREAM, "listener", 0);
    const int server = accept(listener, NULL, NULL);
    expect(talks(fresh, server));
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    expect(!getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &size) && credentials.pid == getpid());
    expect(talks(abstract_client, abstract_accepted) && is_named(abstract_accepted, "diapause-test-abstract", 1));
    const int another = connected(SOCK_SEQPACKET, "diapause-test-abstract", 1);
    expect(talks(another, accept(abstract_listener, NULL, NULL)));
}

static void verify_names(void) {
    char c;
    expect(is_named(relative, "relative", 0) && !access("sub/relative", F_OK));
    const int by_path = connected(SOCK_DGRAM, "sub/relative", 0);
    expect(write(by_path, "found", 5) == 5 && says(relative, "found"));
    expect(says(named, "queued") && write(sender, "more", 4) == 4 && says(named, "more"));
    expect(is_named(unbound, NULL, 0) && fcntl(unbound, F_GETFL) & O_NONBLOCK);
    expect(write(unbound, "x", 1) < 0 && errno == ENOTCONN);
    expect(access("removed", F_OK) < 0 && is_named(removed, "removed", 0) && talks(removed_client, removed_accepted));
    expect(!access("gone", F_OK) && is_named(gone_accepted, "gone", 0));
    expect(says(gone_accepted, "farewell") && read(gone_accepted, &c, 1) == 0);
    expect(is_named(bound_stream, "bound", 0) && !listen(bound_stream, 1));
    const int fd = connected(SOCK_STREAM, "bound", 0);
    expect(talks(fd, accept(bound_stream, NULL, NULL)));
}

// A second process that only answers over the socket that it inherited, and over one that it connected to the first.
static void serve(void) {
    char text[16];
    ssize_t n;
    close(to_child[0]);
    close(served);
    const int connection = connected(SOCK_STREAM, "served", 0);
    while ((n = read(to_child[1], text, sizeof text)) > 0)
        if (write(to_child[1], text, (size_t)n) != n || write(connection, text, (size_t)n) != n) _exit(2);
    _exit(n < 0);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    block_term();
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, to_child));
    served = named_socket(SOCK_STREAM, "served", 0);
    must(listen(served, 1));
    child = (pid_t)must(fork());
    if (!child) serve();
    close(to_child[1]);
    from_child = (int)must(accept(served, NULL, NULL));
    set_up_pairs();
    set_up_names();
    wait_for_term();
    verify_pairs();
    verify_listener();
    verify_names();
    char text[8] = {0};
    expect(write(to_child[0], "echo", 4) == 4 && read(to_child[0], text, 4) == 4 && !strcmp(text, "echo"));
    memset(text, 0, sizeof text);
    expect(read(from_child, text, 4) == 4 && !strcmp(text, "echo"));
    close(to_child[0]);
    int status;
    expect(waitpid(child, &status, 0) == child && status == 0);
    return verdict();
}

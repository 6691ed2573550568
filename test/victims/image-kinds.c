// One process with as many kinds of kernel state as a plain host allows, for the test that re-encodes CRIU's images.
// It prints `ready` and sleeps; nothing is checked after a restore.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static long need(long result, const char *what) {
    if (result >= 0) return result;
    printf("failed %s: %s\n", what, strerror(errno));
    exit(1);
}
#define NEED(call) need((long)(call), #call)

static void pipes(void) {
    int ends[2];
    NEED(pipe2(ends, O_NONBLOCK));
    NEED(write(ends[1], "in the pipe", 11));
    NEED(mkfifo("fifo", 0600));
    NEED(write((int)NEED(open("fifo", O_RDWR)), "in the fifo", 11));
}

static void events(void) {
    int event = (int)NEED(eventfd(7, EFD_NONBLOCK));
    int epoll = (int)NEED(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLET, .data.u64 = 0xfedcba9876543210ULL};
    NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted));
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    NEED(signalfd(-1, &mask, SFD_NONBLOCK));
    struct itimerspec in = {.it_value = {3000, 5}, .it_interval = {1, 2}};
    NEED(timerfd_settime((int)NEED(timerfd_create(CLOCK_MONOTONIC, 0)), 0, &in, NULL));
    int notify = (int)NEED(inotify_init1(IN_NONBLOCK));
    NEED(inotify_add_watch(notify, ".", IN_CREATE | IN_DELETE));
    NEED(syscall(SYS_pidfd_open, getpid(), 0));
}

static void files(void) {
    int plain = (int)NEED(open("plain", O_RDWR | O_CREAT, 0640));
    NEED(write(plain, "0123456789", 10));
    struct flock lock = {.l_type = F_WRLCK, .l_start = 2, .l_len = 3};
    NEED(fcntl(plain, F_SETLK, &lock));
    NEED(flock((int)NEED(open("plain", O_RDONLY)), LOCK_SH));
    struct f_owner_ex owner = {F_OWNER_PID, getpid()};
    NEED(fcntl(plain, F_SETOWN_EX, &owner));
    NEED(write((int)NEED(open("small", O_RDWR | O_CREAT, 0600)), "gone", 4));
    NEED(unlink("small"));
    int large = (int)NEED(open("large", O_RDWR | O_CREAT, 0600));
    NEED(pwrite(large, "start", 5, 0));
    NEED(pwrite(large, "end", 3, 100000));
    NEED(unlink("large"));
    // a name that is no UTF-8
    NEED(open("latin-\xe4", O_RDWR | O_CREAT, 0600));
}

static void unix_sockets(void) {
    int ends[2];
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {"with rights", 11};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    int sent = (int)NEED(open("sent", O_RDWR | O_CREAT, 0600));
    memcpy(CMSG_DATA(rights), &sent, sizeof sent);
    NEED(sendmsg(ends[0], &message, 0));
    close(sent);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "listening"};
    int listening = (int)NEED(socket(AF_UNIX, SOCK_STREAM, 0));
    NEED(bind(listening, (struct sockaddr *)&name, sizeof name));
    NEED(listen(listening, 5));
}

static void internet_sockets(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int listening = (int)NEED(socket(AF_INET, SOCK_STREAM, 0));
    NEED(bind(listening, (struct sockaddr *)&at, sizeof at));
    NEED(listen(listening, 5));
    NEED(getsockname(listening, (struct sockaddr *)&at, &length));
    int client = (int)NEED(socket(AF_INET, SOCK_STREAM, 0));
    int one = 1;
    NEED(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    NEED(connect(client, (struct sockaddr *)&at, sizeof at));
    NEED(accept(listening, NULL, NULL));
    NEED(write(client, "on the wire", 11));
    int udp = (int)NEED(socket(AF_INET6, SOCK_DGRAM, 0));
    struct sockaddr_in6 at6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    NEED(bind(udp, (struct sockaddr *)&at6, sizeof at6));
    struct sock_filter accept_all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
    struct sock_fprog filter = {1, &accept_all};
    NEED(setsockopt(udp, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter));
    struct sockaddr_nl route = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int netlink = (int)NEED(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    NEED(bind(netlink, (struct sockaddr *)&route, sizeof route));
    NEED(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static void memory(void) {
    size_t page = 4096;
    int memfd = (int)NEED(memfd_create("sealed", MFD_ALLOW_SEALING));
    NEED(write(memfd, "memfd", 5));
    NEED(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK));
    char *shared = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[page] = 1;
    char *private = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    private[3 * page] = 1;
    NEED(madvise(private, 8 * page, MADV_DONTDUMP));
    NEED(mprotect(private + 5 * page, page, PROT_NONE));
    aio_context_t ring = 0;
    NEED(syscall(SYS_io_setup, 10, &ring));
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 3};
    if (syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map) < 0) printf("no bpf here: %s\n", strerror(errno));
}

static void terminal(void) {
    int master, slave;
    NEED(openpty(&master, &slave, NULL, NULL, &(struct winsize){24, 80, 0, 0}));
}

static void *thread(void *argument) {
    (void)argument;
    prctl(PR_SET_NAME, "second");
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    pthread_kill(pthread_self(), SIGRTMIN + 3);
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {1, &allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
    for (;;) pause();
    return NULL;
}

static void handler(int signal) { (void)signal; }

static void signals_and_timers(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaddset(&action.sa_mask, SIGHUP);
    NEED(sigaction(SIGUSR1, &action, NULL));
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigaddset(&mask, SIGRTMIN + 1);
    NEED(sigprocmask(SIG_BLOCK, &mask, NULL));
    NEED(kill(getpid(), SIGUSR2));
    NEED(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 42}));
    struct itimerval soon = {{1000, 1}, {2000, 2}};
    NEED(setitimer(ITIMER_REAL, &soon, NULL));
    NEED(setitimer(ITIMER_PROF, &soon, NULL));
    timer_t id;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_ptr = &id};
    NEED(timer_create(CLOCK_MONOTONIC, &event, &id));
    NEED(timer_settime(id, 0, &(struct itimerspec){{5, 6}, {4000, 8}}, NULL));
}

static void children(void) {
    if (NEED(fork()) == 0) _exit(3);
    if (NEED(fork()) == 0) {
        for (;;) raise(SIGSTOP);
    }
    if (NEED(fork()) == 0) {
        NEED(chdir("/"));
        umask(0);
        for (;;) pause();
    }
}

int main(void) {
    pipes();
    events();
    files();
    unix_sockets();
    internet_sockets();
    memory();
    terminal();
    signals_and_timers();
    NEED(prctl(PR_SET_CHILD_SUBREAPER, 1));
    NEED(setpriority(PRIO_PROCESS, 0, 4));
    children();
    pthread_t second;
    pthread_create(&second, NULL, thread, NULL);
    usleep(200000);
    printf("ready\n");
    fflush(stdout);
    for (;;) pause();
}

// Pipes and FIFOs: content, sizes, flags, ends that are closed, ends that a child holds.
// usage: files-pipe; SIGTERM verifies. Works in its current directory.
#include "descriptors.h"

#define PIPE_BYTES 131072

static int full[2], plain[2], half_read, half_write, both, fifo_read, fifo_write, fifo_both, to_child[2], from_child[2];
static int packets[2], packets_later[2], packets_alone;
static pid_t child;

static void set_up(void) {
    must(pipe2(plain, O_CLOEXEC));
    must(write(plain[1], "plain", 5));
    must(fcntl(plain[0], F_SETFL, O_NONBLOCK));
    must(pipe2(full, O_NONBLOCK));
    must(fcntl(full[1], F_SETPIPE_SZ, PIPE_BYTES));
    char block[4096];
    for (int i = 0; i < PIPE_BYTES / 4096; i++) {
        memset(block, i, sizeof block);
        must(write(full[1], block, sizeof block));
    }
    int ends[2];
    must(pipe(ends));
    must(write(ends[1], "last", 4));
    close(ends[1]);
    half_read = ends[0];
    must(pipe(ends));
    close(ends[0]);
    half_write = ends[1];
    must(pipe(ends));
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", ends[0]);
    both = (int)must(open(link, O_RDWR));
    close(ends[0]);
    close(ends[1]);
    must(write(both, "both", 4));
    must(pipe2(packets, O_DIRECT));
    must(write(packets[1], "one", 3));
    must(write(packets[1], "second", 6));
    must(write(packets[1], "3", 1));
    must(pipe2(packets_later, O_DIRECT));
    must(write(packets_later[1], "first", 5));
    must(write(packets_later[1], "last", 4));
    close(packets_later[1]);
    packets_alone = packets_later[0];
    must(pipe(packets_later));
    must(fcntl(packets_later[1], F_SETFL, O_DIRECT));
    must(mkfifo("fifo", 0600));
    fifo_both = (int)must(open("fifo", O_RDWR));
    fifo_read = (int)must(open("fifo", O_RDONLY | O_NONBLOCK));
    fifo_write = (int)must(open("fifo", O_WRONLY | O_CLOEXEC));
    must(write(fifo_write, "fifo content", 12));
}

// Answers each byte with the next one until its input ends.
static void serve(void) {
    close(to_child[1]);
    close(from_child[0]);
    char c;
    while (read(to_child[0], &c, 1) == 1) {
        c++;
        if (write(from_child[1], &c, 1) != 1) _exit(2);
    }
    _exit(0);
}

static void verify_content(void) {
    char text[4096] = {0};
    expect(read(plain[0], text, sizeof text) == 5 && !memcmp(text, "plain", 5));
    expect(read(plain[0], text, 1) < 0 && errno == EAGAIN);
    expect(has_cloexec(plain[0]) && has_cloexec(plain[1]) && !has_cloexec(full[0]));
    expect(!(fcntl(plain[1], F_GETFL) & O_NONBLOCK) && (fcntl(full[1], F_GETFL) & O_NONBLOCK));
    expect(fcntl(full[0], F_GETPIPE_SZ) == PIPE_BYTES);
    expect(write(full[1], text, 1) < 0 && errno == EAGAIN);
    for (int i = 0; i < PIPE_BYTES / 4096; i++) {
        char block[4096];
        memset(block, i, sizeof block);
        expect(read(full[0], text, sizeof text) == sizeof text && !memcmp(text, block, sizeof block));
    }
    expect(read(half_read, text, sizeof text) == 4 && !memcmp(text, "last", 4));
    expect(read(half_read, text, 1) == 0);
    expect(write(half_write, "x", 1) < 0 && errno == EPIPE);
    expect(read(both, text, sizeof text) == 4 && !memcmp(text, "both", 4));
    expect((fcntl(both, F_GETFL) & O_ACCMODE) == O_RDWR);
    expect(fstat(plain[0], &(struct stat){0}) == 0);
}

static void verify_packets(void) {
    char text[16] = {0};
    expect(!(fcntl(packets[0], F_GETFL) & O_DIRECT) && (fcntl(packets[1], F_GETFL) & O_DIRECT));
    expect(read(packets[0], text, sizeof text) == 3 && !memcmp(text, "one", 3));
    // What does not fit is thrown away, as ever.
    expect(read(packets[0], text, 2) == 2 && !memcmp(text, "se", 2));
    expect(read(packets[0], text, sizeof text) == 1 && text[0] == '3');
    expect(read(packets_alone, text, sizeof text) == 5 && read(packets_alone, text, sizeof text) == 4);
    expect(read(packets_alone, text, 1) == 0);
    expect(!(fcntl(packets_later[0], F_GETFL) & O_DIRECT) && (fcntl(packets_later[1], F_GETFL) & O_DIRECT));
    expect(write(packets_later[1], "a", 1) == 1 && write(packets_later[1], "b", 1) == 1);
    expect(read(packets_later[0], text, sizeof text) == 1);
}

static void verify_fifo(void) {
    char text[64] = {0};
    expect(read(fifo_read, text, sizeof text) == 12 && !memcmp(text, "fifo content", 12));
    expect(read(fifo_read, text, 1) < 0 && errno == EAGAIN);
    expect(write(fifo_both, "again", 5) == 5 && read(fifo_both, text, sizeof text) == 5);
    expect(leads_to(fifo_write, "/fifo") && has_cloexec(fifo_write));
    expect((fcntl(fifo_write, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_WRONLY);
    close(fifo_both);
    close(fifo_write);
    expect(read(fifo_read, text, 1) == 0);
}

static void verify_child(void) {
    char c = 'a';
    expect(write(to_child[1], &c, 1) == 1 && read(from_child[0], &c, 1) == 1 && c == 'b');
    close(to_child[1]);
    // Only the child holds the other end: it sees the end of its input, we see its end.
    expect(read(from_child[0], &c, 1) == 0);
    int status;
    expect(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    block_term();
    must(pipe(to_child));
    must(pipe(from_child));
    child = (pid_t)must(fork());
    if (!child) serve();
    set_up();
    close(to_child[0]);
    close(from_child[1]);
    wait_for_term();
    verify_content();
    verify_packets();
    verify_fifo();
    verify_child();
    return verdict();
}

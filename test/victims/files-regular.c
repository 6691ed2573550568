// Open files of every kind that has a path: offsets, flags, duplicates, directories, devices, unlinked files.
// usage: files-regular; SIGTERM verifies. Works in its current directory.
#include "descriptors.h"

#define GHOST_BYTES (1 << 20)
// More than one piece of an image
#define LARGE_BYTES ((5 << 20) + 3)

static int rw, same, other, append, path_only, directory, null_device, high, moved;
static int large, ghost, ghost_again, temporary, taken, lost_directory, in_lost_directory, strange, second_name;

static void set_up_plain(void) {
    rw = (int)must(open("plain", O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    must(write(rw, "0123456789", 10));
    must(lseek(rw, 7, SEEK_SET));
    same = (int)must(dup(rw));
    other = (int)must(open("plain", O_RDONLY | O_NOATIME));
    must(lseek(other, 3, SEEK_SET));
    append = (int)must(open("log", O_WRONLY | O_CREAT | O_APPEND, 0600));
    must(write(append, "first ", 6));
    path_only = (int)must(open("plain", O_PATH | O_CLOEXEC));
    mkdir("dir", 0755);
    directory = (int)must(open("dir", O_RDONLY | O_DIRECTORY));
    null_device = (int)must(open("/dev/null", O_RDWR));
    high = (int)must(dup2(null_device, 700));
    moved = (int)must(fcntl(rw, F_DUPFD_CLOEXEC, 300));
    // In the one place where numbers collide: 0 is a file of ours.
    must(dup2(other, 0));
    must(symlink("plain", "link"));
    strange = (int)must(open("na\xffme \xc3\xa4 (deleted)", O_RDWR | O_CREAT, 0600));
    must(write(strange, "strange", 7));
}

static char pattern(int i) { return (char)(i * 31 + (i >> 12)); }

static void set_up_large(void) {
    large = (int)must(open("large", O_RDWR | O_CREAT, 0600));
    must(unlink("large"));
    char *bytes = malloc(LARGE_BYTES);
    for (int i = 0; i < LARGE_BYTES; i++) bytes[i] = pattern(i);
    must(write(large, bytes, LARGE_BYTES));
    free(bytes);
}

static void verify_large(void) {
    struct stat st;
    expect(fstat(large, &st) == 0 && st.st_size == LARGE_BYTES && st.st_nlink == 0);
    char *bytes = malloc(LARGE_BYTES);
    expect(pread(large, bytes, LARGE_BYTES, 0) == LARGE_BYTES);
    int wrong = 0;
    for (int i = 0; i < LARGE_BYTES; i++) wrong += bytes[i] != pattern(i);
    expect(wrong == 0);
    free(bytes);
}

static void set_up_unlinked(void) {
    ghost = (int)must(open("ghost", O_RDWR | O_CREAT, 0400));
    must(pwrite(ghost, "begin", 5, 0));
    must(pwrite(ghost, "end", 3, GHOST_BYTES - 3));
    must(ftruncate(ghost, GHOST_BYTES + 4096));
    must(lseek(ghost, 2, SEEK_SET));
    ghost_again = (int)must(open("ghost", O_RDONLY));
    must(unlink("ghost"));
    temporary = (int)must(open(".", O_TMPFILE | O_RDWR, 0600));
    must(write(temporary, "temporary", 9));
    taken = (int)must(open("taken", O_RDWR | O_CREAT, 0644));
    must(write(taken, "old", 3));
    must(unlink("taken"));
    int fd = (int)must(open("taken", O_RDWR | O_CREAT, 0644));
    must(write(fd, "new", 3));
    close(fd);
    must(mkdir("lost", 0755));
    in_lost_directory = (int)must(open("lost/file", O_RDWR | O_CREAT, 0644));
    must(write(in_lost_directory, "inside", 6));
    must(unlink("lost/file"));
    lost_directory = (int)must(open("lost", O_RDONLY | O_DIRECTORY));
    must(rmdir("lost"));
    second_name = (int)must(open("again", O_RDWR | O_CREAT, 0644));
    must(link("again", "keep"));
    must(unlink("again"));
    must(rename("keep", "again"));
}

static void verify_plain(void) {
    char c;
    expect(read(same, &c, 1) == 1 && c == '7');
    expect(lseek(rw, 0, SEEK_CUR) == 8 && lseek(moved, 0, SEEK_CUR) == 8);
    expect(lseek(other, 0, SEEK_CUR) == 3 && read(0, &c, 1) == 1 && c == '3');
    expect(lseek(other, 0, SEEK_CUR) == 4);
    expect(has_cloexec(rw) && !has_cloexec(same) && has_cloexec(moved) && has_cloexec(path_only));
    expect((fcntl(rw, F_GETFL) & (O_ACCMODE | O_APPEND)) == O_RDWR);
    expect((fcntl(other, F_GETFL) & (O_ACCMODE | O_NOATIME)) == (O_RDONLY | O_NOATIME));
    expect(fcntl(append, F_GETFL) & O_APPEND);
    expect(write(append, "second", 6) == 6 && lseek(append, 0, SEEK_END) == 12);
    expect(fcntl(path_only, F_GETFL) & O_PATH && read(path_only, &c, 1) < 0 && errno == EBADF);
    expect(leads_to(path_only, "/plain") && leads_to(directory, "/dir"));
    expect(faccessat(directory, "nothing", F_OK, 0) < 0 && errno == ENOENT);
    expect(write(null_device, "x", 1) == 1 && write(high, "x", 1) == 1 && leads_to(high, "/dev/null"));
    expect(leads_to(strange, "/na\xffme \xc3\xa4 (deleted)"));
    expect(lseek(strange, 0, SEEK_CUR) == 7);
    for (int fd = 32; fd < 300; fd++) expect(is_closed(fd));
}

static void verify_unlinked(void) {
    char text[16] = {0};
    struct stat st;
    expect(lseek(ghost, 0, SEEK_CUR) == 2 && pread(ghost, text, 5, 0) == 5 && !strcmp(text, "begin"));
    expect(pread(ghost_again, text, 5, GHOST_BYTES - 5) == 5 && !memcmp(text, "\0\0end", 5));
    expect(fstat(ghost, &st) == 0 && st.st_size == GHOST_BYTES + 4096 && st.st_nlink == 0);
    expect((st.st_mode & 07777) == 0400 && st.st_blocks * 512 < GHOST_BYTES / 2);
    // Both lead to one file.
    expect(pwrite(ghost, "BEGIN", 5, 0) == 5 && pread(ghost_again, text, 5, 0) == 5 && !memcmp(text, "BEGIN", 5));
    expect(leads_to(ghost, "/ghost (deleted)") && access("ghost", F_OK) < 0);
    expect(pread(temporary, text, 9, 0) == 9 && !memcmp(text, "temporary", 9));
    expect(fstat(temporary, &st) == 0 && st.st_nlink == 0);
    expect(pread(taken, text, 3, 0) == 3 && !memcmp(text, "old", 3));
    int fd = open("taken", O_RDONLY);
    expect(pread(fd, text, 3, 0) == 3 && !memcmp(text, "new", 3));
    close(fd);
    expect(pread(in_lost_directory, text, 6, 0) == 6 && !memcmp(text, "inside", 6));
    expect(fstat(lost_directory, &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink == 0);
    expect(access("lost", F_OK) < 0 && errno == ENOENT);
    expect(write(second_name, "both", 4) == 4 && stat("again", &st) == 0 && st.st_size == 4);
}

static int network, of_ended;

// The directory of a process that has ended.
static void set_up_ended(void) {
    const pid_t child = (pid_t)must(fork());
    if (child == 0)
        for (;;) pause();
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", child);
    of_ended = (int)must(open(path, O_RDONLY | O_DIRECTORY));
    must(kill(child, SIGKILL));
    must(waitpid(child, NULL, 0));
}

static void verify_ended(void) {
    char link[64] = "";
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", of_ended);
    expect(readlink(path, link, sizeof link - 1) > 0 && !strncmp(link, "/proc/", 6) && strstr(link, "(deleted)"));
    expect(openat(of_ended, "status", O_RDONLY) < 0);
}

static void verify_namespace(void) {
    struct stat held, own;
    expect(!fstat(network, &held) && !stat("/proc/self/ns/net", &own) && held.st_ino == own.st_ino);
}

int main(void) {
    block_term();
    network = (int)must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    set_up_ended();
    set_up_plain();
    set_up_unlinked();
    set_up_large();
    wait_for_term();
    verify_namespace();
    verify_ended();
    verify_plain();
    verify_unlinked();
    verify_large();
    return verdict();
}

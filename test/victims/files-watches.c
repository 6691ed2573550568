// inotify and fanotify: numbers with gaps, masks, a watched file that is unlinked, a link that is watched itself; no event too many.
// usage: files-watches; SIGTERM verifies. Works in its current directory.
#include "descriptors.h"
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

static int notices, queue, quiet, open_file, of_directory, of_file, of_unlinked, of_link, of_elsewhere;

static int watch(int fd, const char *path, uint32_t mask) { return (int)must(inotify_add_watch(fd, path, mask)); }

static void set_up(void) {
    queue = (int)must(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    quiet = (int)must(inotify_init1(0));
    must(mkdir("directory", 0755));
    close((int)must(open("directory/file", O_WRONLY | O_CREAT, 0600)));
    open_file = (int)must(open("unlinked", O_RDWR | O_CREAT, 0600));
    must(unlink("unlinked"));
    must(symlink("directory/file", "link"));
    // Two numbers that nobody uses any more
    inotify_rm_watch(queue, watch(queue, ".", IN_CREATE));
    of_directory = watch(queue, "directory", IN_CREATE | IN_DELETE | IN_MODIFY | IN_ONLYDIR);
    inotify_rm_watch(queue, watch(queue, ".", IN_CREATE));
    of_file = watch(queue, "directory/file", IN_OPEN | IN_ONESHOT);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open_file);
    of_unlinked = watch(queue, path, IN_MODIFY | IN_CLOSE_WRITE);
    of_link = watch(queue, "link", IN_ATTRIB | IN_DONT_FOLLOW);
    of_elsewhere = watch(quiet, "/tmp", IN_DELETE_SELF | IN_EXCL_UNLINK);
    notices = (int)must(fanotify_init(FAN_NONBLOCK | FAN_CLASS_NOTIF, O_RDONLY));
    must(fanotify_mark(notices, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD, "directory"));
    must(fanotify_mark(notices, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK, FAN_OPEN, AT_FDCWD, "link"));
    char events[4096];
    while (read(queue, events, sizeof events) > 0) {
    }
}

// The next event; its name may be empty.
static void expect_event(int wd, uint32_t mask, const char *name, int line) {
    static char events[4096];
    static ssize_t length, at;
    if (at >= length) {
        length = read(queue, events, sizeof events);
        at = 0;
    }
    const struct inotify_event *event = (const struct inotify_event *)(events + at);
    const int good = length > 0 && event->wd == wd && (event->mask & ~IN_ISDIR) == mask && !strcmp(event->len ? event->name : "", name);
    if (length > 0)
        expect_at(good, "line %d: wd %d mask %x name %s", line, event->wd, event->mask, event->len ? event->name : "");
    else
        expect_at(0, "line %d: no event", line);
    at += (ssize_t)sizeof *event + (ssize_t)event->len;
}

#define expect_next(wd, mask, name) expect_event(wd, mask, name, __LINE__)

static void verify_notices(void) {
    struct fanotify_event_metadata event;
    while (read(notices, &event, sizeof event) > 0) close(event.fd);
    // This one is ignored, the other is not.
    close((int)must(open("directory/file", O_RDONLY)));
    close((int)must(open("directory/seen", O_RDONLY | O_CREAT, 0600)));
    expect(read(notices, &event, sizeof event) == sizeof event && event.mask == FAN_OPEN);
    expect(leads_to(event.fd, "/directory/seen"));
    must(unlink("directory/seen"));
    expect(read(notices, &event, sizeof event) < 0);
}

static void verify(void) {
    struct fanotify_event_metadata early;
    expect(read(notices, &early, sizeof early) < 0 && errno == EAGAIN);
    int bytes = -1;
    expect(ioctl(queue, 0x541b /* FIONREAD */, &bytes) == 0 && bytes == 0);
    expect(ioctl(quiet, 0x541b, &bytes) == 0 && bytes == 0);
    expect(has_cloexec(queue) && fcntl(queue, F_GETFL) & O_NONBLOCK && !(fcntl(quiet, F_GETFL) & O_NONBLOCK));
    close((int)must(open("directory/new", O_WRONLY | O_CREAT, 0600)));
    expect_next(of_directory, IN_CREATE, "new");
    close((int)must(open("directory/file", O_RDONLY)));
    expect_next(of_file, IN_OPEN, "");
    expect_next(of_file, IN_IGNORED, "");
    expect(write(open_file, "x", 1) == 1);
    expect_next(of_unlinked, IN_MODIFY, "");
    close(open_file);
    expect_next(of_unlinked, IN_CLOSE_WRITE, "");
    must(lchown("link", getuid(), getgid()));
    expect_next(of_unlinked, IN_IGNORED, "");
    expect_next(of_link, IN_ATTRIB, "");
    must(unlink("directory/new"));
    expect_next(of_directory, IN_DELETE, "new");
    expect(inotify_rm_watch(quiet, of_elsewhere) == 0);
    expect(inotify_add_watch(queue, ".", IN_CREATE) > of_link);
}

int main(void) {
    block_term();
    set_up();
    wait_for_term();
    verify();
    verify_notices();
    return verdict();
}

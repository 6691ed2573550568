// A pseudoterminal pair with settings, a session on it with a foreground and a background group, and /dev/tty.
// usage: files-terminals; SIGTERM verifies.
#include "descriptors.h"
#include <sys/ioctl.h>
#include <termios.h>

static int master, slave, of_leader[2], to_leader[2], lonely;
static pid_t leader;

static void set_up_pair(void) {
    master = (int)must(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    must(unlockpt(master));
    slave = (int)must(open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK));
    struct termios settings;
    must(tcgetattr(slave, &settings));
    settings.c_lflag &= (tcflag_t) ~(ECHO | ICANON);
    settings.c_cc[VINTR] = 7;
    must(tcsetattr(slave, TCSANOW, &settings));
    const struct winsize size = {.ws_row = 33, .ws_col = 111};
    must(ioctl(master, TIOCSWINSZ, &size));
    // A slave whose master is closed
    const int closed = (int)must(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    must(unlockpt(closed));
    lonely = (int)must(open(ptsname(closed), O_RDWR | O_NOCTTY));
    close(closed);
}

// Leads a session on the terminal: a background group of its own, a child in the foreground that dies of the terminal's interrupt.
static void lead(void) {
    must(setsid());
    close(slave);
    const int tty = (int)must(open(ptsname(master), O_RDWR));
    close(master);
    signal(SIGTTOU, SIG_IGN);
    const pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        signal(SIGINT, SIG_DFL);
        for (;;) pause();
    }
    setpgid(job, job);
    must(tcsetpgrp(tty, job));
    const int again = (int)must(open("/dev/tty", O_RDWR | O_CLOEXEC));
    close(tty);
    must(write(of_leader[1], &job, sizeof job));
    char c;
    while (read(to_leader[0], &c, 1) == 1) {
        int status = -1;
        if (c == 'f') status = tcgetpgrp(again) == job;
        if (c == 'w') {
            waitpid(job, &status, 0);
            status = WIFSIGNALED(status) && WTERMSIG(status) == SIGINT;
        }
        if (c == 's') status = tcgetsid(again) == getpid() && write(again, "hello", 5) == 5;
        must(write(of_leader[1], &status, sizeof status));
    }
    _exit(0);
}

static int ask(char what) {
    int answer = -1;
    expect(write(to_leader[1], &what, 1) == 1 && read(of_leader[0], &answer, sizeof answer) == sizeof answer);
    return answer;
}

static void verify(void) {
    struct termios settings;
    struct winsize size = {0};
    char text[16] = {0};
    expect(tcgetattr(slave, &settings) == 0 && !(settings.c_lflag & (ECHO | ICANON)) && settings.c_cc[VINTR] == 7);
    expect(ioctl(slave, TIOCGWINSZ, &size) == 0 && size.ws_row == 33 && size.ws_col == 111);
    expect(has_cloexec(master) && fcntl(slave, F_GETFL) & O_NONBLOCK && !(fcntl(master, F_GETFL) & O_NONBLOCK));
    char name[64];
    expect(ptsname_r(master, name, sizeof name) == 0 && leads_to(slave, name) && leads_to(master, "/dev/ptmx"));
    expect(tcgetsid(master) == leader && ask('f') == 1 && ask('s') == 1);
    expect(read(master, text, 5) == 5 && !memcmp(text, "hello", 5));
    expect(write(master, "typed", 5) == 5 && read(slave, text, 5) == 5 && !memcmp(text, "typed", 5));
    expect(events_of(lonely, POLLIN) & POLLHUP && read(lonely, text, 1) <= 0);
    expect(write(master, "\007", 1) == 1 && ask('w') == 1);
    close(to_leader[1]);
    int status;
    expect(waitpid(leader, &status, 0) == leader && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    signal(SIGHUP, SIG_IGN);
    block_term();
    must(pipe(of_leader));
    must(pipe(to_leader));
    set_up_pair();
    leader = (pid_t)must(fork());
    if (leader == 0) {
        close(to_leader[1]);
        lead();
    }
    close(to_leader[0]);
    pid_t job;
    must(read(of_leader[0], &job, sizeof job));
    wait_for_term();
    verify();
    return verdict();
}

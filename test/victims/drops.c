// Root, and two children that gave up their rights: all of them, and all but one capability. SIGTERM verifies.
#include "descriptors.h"
#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { USER = 1234, GROUP = 5678, KEPT = 1 << CAP_NET_BIND_SERVICE };

static const gid_t GROUPS[] = {7, GROUP};

static void set_capabilities(uint32_t low) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = low, .permitted = low}, {0}};
    must(syscall(SYS_capset, &header, data));
}

static bool has_capabilities(uint32_t low) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    must(syscall(SYS_capget, &header, data));
    return data[0].effective == low && data[0].permitted == low && data[1].effective == 0;
}

static void drop(bool keep) {
    must(setgroups(2, GROUPS));
    must(prctl(PR_SET_KEEPCAPS, keep, 0, 0, 0));
    must(setresgid(GROUP, GROUP, GROUP));
    must(setresuid(USER, USER, USER));
    if (keep) set_capabilities(KEPT);
    must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static void verify_dropped(bool keep) {
    uid_t users[3];
    gid_t groups[3], all[8];
    expect(!getresuid(&users[0], &users[1], &users[2]) && !getresgid(&groups[0], &groups[1], &groups[2]));
    for (int i = 0; i < 3; i++) expect(users[i] == USER && groups[i] == GROUP);
    expect(getgroups(8, all) == 2 && all[0] == GROUPS[0] && all[1] == GROUPS[1]);
    expect(has_capabilities(keep ? KEPT : 0));
    expect(setuid(0) < 0);
    expect(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
}

static pid_t start(bool keep) {
    const pid_t child = (pid_t)must(fork());
    if (child) return child;
    drop(keep);
    wait_for_term();
    verify_dropped(keep);
    _exit(verdict());
}

int main(void) {
    block_term();
    const pid_t children[] = {start(false), start(true)};
    wait_for_term();
    expect(getuid() == 0 && geteuid() == 0 && !has_capabilities(0));
    for (int i = 0; i < 2; i++) {
        int status = -1;
        kill(children[i], SIGTERM);
        waitpid(children[i], &status, 0);
        expect(status == 0);
    }
    return verdict();
}

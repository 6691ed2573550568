// BPF maps: a hash table that is frozen, and an array. SIGTERM verifies. "SETUP" where the kernel gives none.
#include "descriptors.h"
#include <linux/bpf.h>
#include <sys/syscall.h>

enum { ENTRIES = 10, ARRAY = 3000 };

static int table, array;

static long call(int command, union bpf_attr *attr) { return syscall(SYS_bpf, command, attr, sizeof *attr); }

static int make(unsigned type, unsigned entries, unsigned flags) {
    union bpf_attr attr = {
        .map_type = type, .key_size = 4, .value_size = 8, .max_entries = entries, .map_flags = flags};
    strcpy(attr.map_name, type == BPF_MAP_TYPE_HASH ? "table" : "array");
    return (int)must(call(BPF_MAP_CREATE, &attr));
}

static long put(int fd, uint32_t key, uint64_t value) {
    union bpf_attr attr = {.map_fd = (unsigned)fd, .key = (uintptr_t)&key, .value = (uintptr_t)&value};
    return call(BPF_MAP_UPDATE_ELEM, &attr);
}

static uint64_t get(int fd, uint32_t key) {
    uint64_t value = 0;
    union bpf_attr attr = {.map_fd = (unsigned)fd, .key = (uintptr_t)&key, .value = (uintptr_t)&value};
    return call(BPF_MAP_LOOKUP_ELEM, &attr) ? 0 : value;
}

int main(void) {
    block_term();
    table = make(BPF_MAP_TYPE_HASH, ENTRIES, BPF_F_NO_PREALLOC);
    array = make(BPF_MAP_TYPE_ARRAY, ARRAY, 0);
    for (uint32_t i = 0; i < ENTRIES / 2; i++) must(put(table, 1000 * i, i + 1));
    for (uint32_t i = 0; i < ARRAY; i++) must(put(array, i, 3 * i + 1));
    union bpf_attr frozen = {.map_fd = (unsigned)table};
    must(call(BPF_MAP_FREEZE, &frozen));
    wait_for_term();
    for (uint32_t i = 0; i < ENTRIES / 2; i++) expect(get(table, 1000 * i) == i + 1);
    expect(get(table, 1) == 0);
    for (uint32_t i = 0; i < ARRAY; i++) expect(get(array, i) == 3 * i + 1);
    expect(put(table, 1, 1) < 0 && errno == EPERM);
    expect(put(array, 1, 7) == 0 && get(array, 1) == 7);
    return verdict();
}

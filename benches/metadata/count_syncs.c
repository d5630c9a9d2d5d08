/* Counts fsync and fdatasync of a process into the file that COUNT_SYNCS names: 8 bytes, native order. Preloaded by the benchmark. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t *count;

__attribute__((constructor)) static void open_count(void) {
    const char *path = getenv("COUNT_SYNCS");
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) count = page;
    close(fd);
}

static int synced(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (count) atomic_fetch_add(count, 1);
    return real(fd);
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }

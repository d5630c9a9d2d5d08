/* Makes the disk of a process slow, as slow as the file that SLOW_DISK names says at the moment: nanoseconds for each fsync and fdatasync,
   and for each page of 4096 bytes that is written; 8 bytes each, native order. Preloaded by the benchmark. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SYNC, PAGE, PAGE_BYTES = 4096 };
static volatile uint64_t *slow;

__attribute__((constructor)) static void open_slow(void) {
    const char *path = getenv("SLOW_DISK");
    int fd = path ? open(path, O_RDONLY) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, 2 * sizeof *slow, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) slow = page;
    close(fd);
}

static void wait_for(int what) {
    uint64_t nanoseconds = slow ? slow[what] : 0;
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    if (nanoseconds) nanosleep(&time, NULL);
}

static int synced(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    wait_for(SYNC);
    return real(fd);
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }

ssize_t write(int fd, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (count == PAGE_BYTES) wait_for(PAGE);
    return real(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    if (count == PAGE_BYTES) wait_for(PAGE);
    return real(fd, bytes, count, at);
}

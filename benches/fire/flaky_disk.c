/* A file system with one file in it, `image`, which is the file that BACKING names. What the file that SWITCH names begins with says how it
   does: '0' well; 'w' what is written from FIRST on is answered EIO, and nothing of it is kept, and so is each sync; 's' all is kept, but each
   sync is answered EIO. It speaks to the kernel itself (/dev/fuse), because there is little to say: one thread, no caching
   (FOPEN_DIRECT_IO), so that each write of a loop device on it meets the switch. Usage: flaky_disk PLACE BACKING SWITCH FIRST */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE_MAX = 128 * 1024, ROOT = FUSE_ROOT_ID, IMAGE = 2, REMEMBERED_SECONDS = 3600 };
static int kernel, backing, control;
static uint64_t first;

static int is_switched_to(char how) {
    char is = '0';
    return pread(control, &is, 1, 0) == 1 && is == how;
}

static void answer(uint64_t unique, int error, const void *body, size_t length) {
    struct fuse_out_header head = {.len = sizeof head + length, .error = error, .unique = unique};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)body, length}};
    /* whoever asked may have been interrupted meanwhile */
    if (writev(kernel, parts, 2) < 0 && errno != ENOENT) _exit(1);
}

static struct fuse_attr attributes(uint64_t node) {
    struct stat found;
    if (node == ROOT) return (struct fuse_attr){.ino = ROOT, .mode = S_IFDIR | 0700, .nlink = 2};
    fstat(backing, &found);
    return (struct fuse_attr){.ino = IMAGE, .mode = S_IFREG | 0600, .nlink = 1, .size = found.st_size, .blksize = 4096};
}

static void serve(struct fuse_in_header *in, char *body, char *room) {
    uint64_t to = in->unique;
    switch (in->opcode) {
    case FUSE_INIT: {
        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .flags = FUSE_BIG_WRITES,
                                    .max_background = 16, .congestion_threshold = 12, .max_write = WRITE_MAX};
        return answer(to, 0, &out, sizeof out);
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out out = {.nodeid = IMAGE, .entry_valid = REMEMBERED_SECONDS, .attr = attributes(IMAGE)};
        if (strcmp(body, "image")) return answer(to, -ENOENT, NULL, 0);
        return answer(to, 0, &out, sizeof out);
    }
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
        struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
        return answer(to, 0, &out, sizeof out);
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
        struct fuse_open_out out = {.open_flags = in->opcode == FUSE_OPEN ? FOPEN_DIRECT_IO : 0};
        return answer(to, 0, &out, sizeof out);
    }
    case FUSE_READ: {
        struct fuse_read_in *read = (void *)body;
        ssize_t got = pread(backing, room, read->size < WRITE_MAX ? read->size : WRITE_MAX, read->offset);
        return answer(to, got < 0 ? -errno : 0, room, got < 0 ? 0 : got);
    }
    case FUSE_WRITE: {
        struct fuse_write_in *write = (void *)body;
        int fails = write->offset >= first && is_switched_to('w');
        ssize_t put = fails ? (errno = EIO, -1) : pwrite(backing, write + 1, write->size, write->offset);
        struct fuse_write_out out = {.size = put};
        return put < 0 ? answer(to, -errno, NULL, 0) : answer(to, 0, &out, sizeof out);
    }
    case FUSE_FSYNC: return answer(to, is_switched_to('0') ? 0 : -EIO, NULL, 0);
    case FUSE_STATFS: {
        struct fuse_statfs_out out = {.st = {.bsize = 4096, .namelen = 255}};
        return answer(to, 0, &out, sizeof out);
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: return answer(to, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return; /* nobody waits for an answer */
    case FUSE_DESTROY: _exit(0);
    default: return answer(to, -ENOSYS, NULL, 0);
    }
}

int main(int count, char **words) {
    static char in[WRITE_MAX + 4096], room[WRITE_MAX];
    char options[100];
    if (count != 5) return 2;
    first = strtoull(words[4], NULL, 10);
    /* nothing of it stays where whoever began it was killed */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    kernel = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    backing = open(words[2], O_RDWR | O_CLOEXEC);
    control = open(words[3], O_RDONLY | O_CLOEXEC);
    if (kernel < 0 || backing < 0 || control < 0) return 1;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d", kernel, getuid(), getgid());
    if (mount("flaky_disk", words[1], "fuse", MS_NOSUID | MS_NODEV, options)) return 1;
    puts("mounted");
    fflush(stdout);
    for (;;) {
        ssize_t length = read(kernel, in, sizeof in);
        if (length < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN)) continue;
        if (length < (ssize_t)sizeof(struct fuse_in_header)) return 0; /* it is unmounted */
        serve((struct fuse_in_header *)in, in + sizeof(struct fuse_in_header), room);
    }
}
